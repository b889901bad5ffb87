// wrap: epoch_read redis_eval keeper_modes_read keeper_modes_heard
#include "../data/metrics_unit.h"
#include "../loop/co_unit.h"

#include <stdlib.h>
#include <string.h>

#include "base/config.h"
#include "base/mem.h"
#include "data/lease.h"
#include "data/redis.h"
#include "keeper/keeper_beat.h"
#include "keeper/keeper_modes.h"

#define INFO "# Replication\r\nrole:master\r\n"

static struct config config = {
    .cache = true,
    .redis_master = {"a", "1"},
    .redis_replicas = {{"b", "1"}},
    .n_redis_replicas = 1,
};

// What PostgreSQL and the nodes answer, how late, and what they were asked.
static struct {
    struct epoch epoch;
    bool restarted;
    enum err_code read_err, eval_err;
    struct redis_reply reply;
    int read_ms, eval_ms;
    int reads, evals, inside;
    int64_t read_at, eval_at;
    struct lease_clock read_clock, sent_read_clock; // of the tick, of the last sent
    char key[128], replid[64], text[256];
    const char *node;
    const char *script;
    // what keeper_modes was told
    int told_read, told_heard;
    int64_t told_read_asked, told_heard_asked;
    struct epoch told_epoch;
    bool told_restarted, told_sent;
    char told_node[16], told_text[64];
} fake;

struct err __wrap_epoch_read(struct work *work, enum pg_use use, struct epoch *out,
                             bool *restarted);
struct err __wrap_redis_eval(struct work *work, struct redis_node *node,
                             const struct redis_script *script, size_t n_keys,
                             const struct redis_arg *args, size_t n_args,
                             struct redis_reply *reply);
void __wrap_keeper_modes_read(const struct epoch *epoch, bool restarted,
                              int64_t asked_at);
void __wrap_keeper_modes_heard(const struct redis_node *node, const char *text,
                               size_t len, int64_t asked_at, bool sent);

struct err __wrap_epoch_read(struct work *work, enum pg_use use, struct epoch *out,
                             bool *restarted)
{
    assert_non_null(work->mem);
    assert_int_equal(use, PG_READ);
    assert_int_equal(fake.inside++, 0); // never two at once
    fake.reads++;
    fake.read_at = clock_mono_ns();
    fake.read_clock = lease_now();
    if (fake.read_ms)
        loop_sleep_ms(fake.read_ms);
    fake.inside--;
    *out = fake.epoch;
    *restarted = fake.restarted;
    return err_make(fake.read_err, NULL, "a fake fault");
}

static void copy(char *to, size_t size, struct redis_arg arg)
{
    assert_true(arg.len < size);
    memcpy(to, arg.data, arg.len);
    to[arg.len] = '\0';
}

struct err __wrap_redis_eval(struct work *work, struct redis_node *node,
                             const struct redis_script *script, size_t n_keys,
                             const struct redis_arg *args, size_t n_args,
                             struct redis_reply *reply)
{
    assert_non_null(work->mem);
    assert_int_equal(n_keys, 1);
    assert_int_equal(n_args, 3);
    assert_int_equal(fake.inside++, 0);
    fake.evals++;
    fake.eval_at = clock_mono_ns();
    fake.sent_read_clock = fake.read_clock;
    fake.node = redis_name(node);
    fake.script = script->text;
    copy(fake.key, sizeof fake.key, args[0]);
    copy(fake.replid, sizeof fake.replid, args[1]);
    copy(fake.text, sizeof fake.text, args[2]);
    if (fake.eval_ms)
        loop_sleep_ms(fake.eval_ms);
    fake.inside--;
    *reply = fake.reply;
    return err_make(fake.eval_err, NULL, "a fake fault");
}

void __wrap_keeper_modes_read(const struct epoch *epoch, bool restarted, int64_t asked_at)
{
    fake.told_read++;
    fake.told_epoch = *epoch;
    fake.told_restarted = restarted;
    fake.told_read_asked = asked_at;
}

void __wrap_keeper_modes_heard(const struct redis_node *node, const char *text,
                               size_t len, int64_t asked_at, bool sent)
{
    fake.told_heard++;
    fake.told_heard_asked = asked_at;
    fake.told_sent = sent;
    snprintf(fake.told_node, sizeof fake.told_node, "%s", redis_name(node));
    snprintf(fake.told_text, sizeof fake.told_text, "%.*s", (int)len, text);
}

static struct redis_reply items[2] = {
    {.type = REDIS_INTEGER, .integer = 1},
    {.type = REDIS_STRING, .text = INFO, .len = sizeof INFO - 1},
};

// Waits until no tick is under way.
static void rest(void)
{
    fake.read_ms = fake.eval_ms = 0;
    while (fake.inside)
        co_unit_yield();
}

static void reset(void)
{
    rest();
    memset(&fake, 0, sizeof fake);
    fake.epoch = (struct epoch){.number = 42, .mode = CACHE_REPLICAS};
    strcpy(fake.epoch.master, "b:1");
    strcpy(fake.epoch.replid, "0123456789abcdef0123456789abcdef01234567");
    items[0].integer = 1;
    fake.reply = (struct redis_reply){.type = REDIS_ARRAY, .items = items, .n_items = 2};
    config.cache = true;
}

// Waits for a tick that began after this was called, and is over.
static void next_tick(void)
{
    int reads = fake.reads;
    while (fake.reads < reads + 2)
        co_unit_yield();
}

static void check_results(bool sent, bool refused, bool failed)
{
    static const char *const series[] = {
        "carrito_keeper_heartbeats_total{result=\"sent\"}",
        "carrito_keeper_heartbeats_total{result=\"refused\"}",
        "carrito_keeper_heartbeats_total{result=\"failed\"}"};
    static long long before[3];
    const bool grown[] = {sent, refused, failed};
    rest();
    for (size_t i = 0; i < LENGTH(series); i++) {
        long long now = metrics_unit_value(series[i]);
        if ((now > before[i]) != grown[i])
            fail_msg("%s: %lld after %lld", series[i], now, before[i]);
        before[i] = now;
    }
}

static void what_is_sent(void)
{
    reset();
    fake.restarted = true;
    fake.read_ms = 5;
    next_tick();
    assert_string_equal(fake.node, "replica-1"); // the one the epoch names
    assert_string_equal(fake.key, lease_key());
    assert_string_equal(fake.replid, fake.epoch.replid);
    struct heartbeat hb;
    assert_true(heartbeat_parse(fake.text, strlen(fake.text), &hb));
    assert_int_equal(hb.epoch, 42);
    assert_int_equal(hb.mode, CACHE_REPLICAS);
    assert_string_equal(hb.replid, fake.epoch.replid);
    // The stamp is from before the question.
    assert_true(hb.stamp.boot_ns <= fake.sent_read_clock.boot_ns);
    assert_true(hb.stamp.boot_ns > fake.sent_read_clock.boot_ns - 5 * MS);
    assert_true(hb.stamp.wall_ms <= fake.sent_read_clock.wall_ms);
    assert_true(hb.stamp.wall_ms >= fake.sent_read_clock.wall_ms - 5);
    assert_int_equal(fake.told_epoch.number, 42);
    assert_true(fake.told_restarted);
    assert_true(fake.told_read_asked <= fake.read_at);
    assert_true(fake.told_sent);
    assert_true(fake.told_heard_asked <= fake.eval_at);
    assert_string_equal(fake.told_node, "replica-1");
    assert_string_equal(fake.told_text, INFO);
    check_results(1, 0, 0);
}

static void the_script(void)
{
    const char *info = strstr(fake.script, "'INFO', 'replication'");
    const char *role = strstr(fake.script, "\\r\\nrole:master\\r\\n");
    const char *replid =
        strstr(fake.script, "\\r\\nmaster_replid:' .. ARGV[1] .. '\\r\\n");
    const char *set = strstr(fake.script, "'SET', KEYS[1], ARGV[2], 'PX', 10000");
    assert_true(info && role && replid && set);
    assert_true(info < role && role < replid && replid < set);
}

static void a_node_that_is_no_longer_it_refuses(void)
{
    reset();
    items[0].integer = 0;
    next_tick();
    assert_true(fake.told_heard > 0 && !fake.told_sent);
    check_results(0, 1, 0);
}

static void nothing_is_sent_in_off(void)
{
    reset();
    fake.epoch.mode = CACHE_OFF;
    next_tick();
    assert_true(fake.told_read > 0);
    assert_int_equal(fake.evals, 0);
    reset();
    config.cache = false;
    next_tick();
    assert_true(fake.told_read > 0);
    assert_int_equal(fake.evals, 0);
    check_results(0, 0, 0);
}

static void faults(void)
{
    reset();
    fake.read_err = ERR_DATABASE_UNAVAILABLE;
    next_tick();
    assert_int_equal(fake.evals + fake.told_read, 0);
    check_results(0, 0, 1);
    reset();
    fake.eval_err = ERR_REDIS;
    next_tick();
    assert_int_equal(fake.told_heard, 0);
    check_results(0, 0, 1);
    reset();
    fake.reply = (struct redis_reply){.type = REDIS_INTEGER, .integer = 1};
    next_tick();
    assert_int_equal(fake.told_heard, 0);
    check_results(0, 0, 1);
    reset();
    strcpy(fake.epoch.master, "nowhere:1");
    next_tick();
    assert_int_equal(fake.evals, 0);
    check_results(0, 0, 1);
}

// So many ticks begin in that time, however long each takes.
static void check_pace(int read_ms, int eval_ms, int ms, int least, int most)
{
    reset();
    fake.read_ms = read_ms;
    fake.eval_ms = eval_ms;
    next_tick();
    fake.reads = 0;
    loop_sleep_ms(ms);
    if (fake.reads < least || fake.reads > most)
        fail_msg("%d ticks in %d ms, each of %d ms", fake.reads, ms, read_ms + eval_ms);
}

static void the_pace(void)
{
    check_pace(0, 0, 500, 8, 11);
    check_pace(20, 15, 500, 8, 11); // what a tick takes does not add to its 50 ms
    check_pace(60, 60, 600, 4, 6);  // no two at once, and no rest in between
    reset();
    fake.read_ms = 400;
    next_tick();
    check_pace(0, 0, 500, 8, 11); // those that were missed are not made up for
}

static void body(void *unused)
{
    (void)unused;
    keeper_beat_start();
    what_is_sent();
    the_script();
    a_node_that_is_no_longer_it_refuses();
    nothing_is_sent_in_off();
    faults();
    the_pace();
}

static void heartbeats(void **state)
{
    (void)state;
    reset();
    co_unit_run(body, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(heartbeats),
    };
    loop_init();
    redis_setup(&config);
    keeper_beat_setup(&config);
    return UNIT_RUN(tests);
}
