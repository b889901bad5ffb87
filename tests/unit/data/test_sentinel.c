// wrap: log_write
#include "../loop/co_unit.h"
#include "resp_fake.h"

#include <string.h>

#include "base/buf.h"
#include "base/config.h"
#include "base/log.h"
#include "data/sentinel.h"

#define PASSWORD "s3cret"
#define STATE "*4\r\n$4\r\nname\r\n$7\r\ncarrito\r\n$12\r\nconfig-epoch\r\n$2\r\n17\r\n"
#define ADDRESS "*2\r\n$5\r\nr-two\r\n$4\r\n6379\r\n"

static struct resp_node node;
static char dead_port[8];
static struct config config = {
    .redis_master_name = "carrito",
    .redis_password = PASSWORD,
    .redis_retry_ms = 20,
    .redis_timeout_ms = 200,
    .n_redis_sentinels = 2,
};
static struct buf trace;

void __wrap_log_write(enum log_level level, const struct log_field *fields);

// The second sentinel's troubles are not told here.
void __wrap_log_write(enum log_level level, const struct log_field *fields)
{
    (void)level;
    if (strcmp(fields[2].str, dead_port) == 0)
        return;
    buf_printf(&trace, "%s", fields[0].str);
    if (fields[3].key)
        buf_printf(&trace, "(%s)", fields[3].str);
    buf_add_str(&trace, "; ");
}

static void check_trace(const char *expected)
{
    assert_string_equal(trace.data, expected);
    buf_truncate(&trace, 0);
}

static void set(char *to, const char *text)
{
    snprintf(to, 256, "%s", text);
}

// Waits for an answer to a question that was asked after this was called.
static struct sentinel_word next_word(void)
{
    int64_t now = clock_mono_ns();
    while (sentinel_said(0).asked_at < now)
        co_unit_yield();
    return sentinel_said(0);
}

// Waits for a complaint, and that nothing has been learnt.
static void check_bad(const char *expected)
{
    struct sentinel_word before = sentinel_said(0);
    while (!trace.len)
        co_unit_yield();
    loop_sleep_ms(60); // a few more tries are not told
    check_trace(expected);
    assert_int_equal(sentinel_said(0).asked_at, before.asked_at);
}

static void check_good(void)
{
    set(node.shared->state, STATE);
    set(node.shared->address, ADDRESS);
    struct sentinel_word word = next_word();
    assert_int_equal(word.config_epoch, 17);
    assert_string_equal(word.master, "r-two:6379");
}

static void body(void *unused)
{
    (void)unused;
    check_good();
    check_trace("");
    assert_int_equal(sentinel_count(), 2);
    assert_int_equal(sentinel_said(1).asked_at, 0); // nobody is there
    assert_string_equal(node.shared->begun_with, "AUTH SENTINEL SENTINEL ");

    // About ten times a second, on one connection.
    int connections = node.shared->connections, commands = node.shared->commands;
    loop_sleep_ms(1000);
    commands = node.shared->commands - commands;
    assert_int_equal(node.shared->connections, connections);
    if (commands < 12 || commands > 22)
        fail_msg("%d commands", commands);

    set(node.shared->address, "*2\r\n$3\r\n::1\r\n$4\r\n6380\r\n");
    assert_string_equal(next_word().master, "::1:6380");

    static const struct {
        const char *state, *address, *why;
    } rows[] = {
        {"-ERR No such master with that name\r\n", "*-1\r\n",
         "ERR No such master with that name"},
        {STATE, "*-1\r\n", "the answer is not understood"},
        {"*2\r\n$1\r\na\r\n$1\r\nb\r\n", ADDRESS, "the answer is not understood"},
        {"*2\r\n$12\r\nconfig-epoch\r\n$2\r\n-1\r\n", ADDRESS,
         "the answer is not understood"},
        {"+OK\r\n", ADDRESS, "the answer is not understood"},
        {STATE, "*2\r\n:1\r\n:2\r\n", "the answer is not understood"},
        {"nonsense\r\n", ADDRESS, "the connection was lost"},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        set(node.shared->state, rows[i].state);
        set(node.shared->address, rows[i].address);
        char expected[128];
        snprintf(expected, sizeof expected, "sentinel-down(%s); ", rows[i].why);
        check_bad(expected);
        check_good();
        check_trace("sentinel-up; ");
    }

    node.shared->silent = true;
    check_bad("sentinel-down(no answer within the deadline); ");
    node.shared->silent = false;
    check_good();
    check_trace("sentinel-up; ");
    node.shared->hang_up = true;
    check_bad("sentinel-down(the connection was lost); ");
    node.shared->hang_up = false;
    check_good();
    check_trace("sentinel-up; ");

    // A sentinel without a password refuses AUTH, and answers all the same.
    set(node.shared->password, "");
    node.shared->hang_up = true;
    check_bad("sentinel-down(the connection was lost); ");
    node.shared->hang_up = false;
    check_good();

    config.redis_retry_ms = 60000;
    resp_stop(&node);
    loop_sleep_ms(50);
}

static void questions(void **state)
{
    void *mem = talloc_new(*state);
    buf_init(&trace, mem, 256);
    sentinel_setup(&config);
    sentinel_start();
    co_unit_run(body, NULL);
    talloc_free(mem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(questions),
    };
    resp_start(&node, PASSWORD);
    close(resp_listen(dead_port));
    config.redis_sentinels[0] = (struct config_addr){"127.0.0.1", node.port};
    config.redis_sentinels[1] = (struct config_addr){"127.0.0.1", dead_port};
    signal(SIGPIPE, SIG_IGN);
    loop_init();
    return UNIT_RUN(tests);
}
