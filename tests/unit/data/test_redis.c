#include "../loop/co_unit.h"
#include "metrics_unit.h"
#include "resp_fake.h"

#include "base/log.h"
#include "base/mem.h"
#include "data/redis.h"

// The master and replica-1 are fake nodes; where replica-2 should be, nobody listens.

#define TIMEOUT_MS 200
#define RETRY_MS 20
#define PASSWORD "s3cret"

static struct resp_node master_node, replica_node;
static char dead_port[8];
static struct config config = {
    .redis_password = PASSWORD,
    .redis_retry_ms = RETRY_MS,
    .redis_timeout_ms = TIMEOUT_MS,
};
static struct redis_script script_a = {.text = "return 'a'"};
static struct redis_script script_b = {.text = "return 'b'"};

static struct redis_node *master, *replica, *dead;

static void wait_until_up(const struct redis_node *node, bool up)
{
    while (redis_is_up(node) != up)
        co_unit_yield();
}

static int64_t since_ms(int64_t begun)
{
    return (clock_mono_ns() - begun) / MS;
}

// One call, and what came of it.
struct call {
    struct redis_node *node;
    char key[64];
    void *mem;
    int64_t deadline;
    bool done;
    struct err err;
    struct redis_reply reply;
    int64_t redis_ns;
    int64_t took_ms;
};

static void make_call(void *arg)
{
    struct call *call = arg;
    struct work work = {.mem = call->mem,
                        .deadline = call->deadline ? call->deadline : CO_FOREVER};
    struct redis_arg args[] = {redis_arg_text("GET"), redis_arg_text(call->key)};
    int64_t begun = clock_mono_ns();
    call->err = redis_call(&work, call->node, args, 2, &call->reply);
    call->took_ms = since_ms(begun);
    call->redis_ns = work.redis_ns;
    call->done = true;
}

static struct call get(void *mem, struct redis_node *node, const char *key)
{
    struct call call = {.node = node, .mem = mem};
    snprintf(call.key, sizeof call.key, "%s", key);
    make_call(&call);
    return call;
}

static void check_echo(void *mem, struct redis_node *node, const char *text)
{
    char key[64];
    snprintf(key, sizeof key, "echo:%s", text);
    struct call call = get(mem, node, key);
    assert_int_equal(call.err.code, ERR_NONE);
    assert_string_equal(call.reply.text, text);
}

static void come_up(void *mem)
{
    (void)mem;
    redis_start();
    assert_false(redis_is_up(master));
    assert_int_equal(metrics_unit_value("carrito_redis_breaker_open{node=\"master\"}"),
                     1);
    wait_until_up(master, true);
    wait_until_up(replica, true);
    loop_sleep_ms(3 * RETRY_MS);
    assert_false(redis_is_up(dead));
    assert_int_equal(metrics_unit_value("carrito_redis_up{node=\"master\"}"), 1);
    assert_int_equal(metrics_unit_value("carrito_redis_breaker_open{node=\"master\"}"),
                     0);
    assert_int_equal(metrics_unit_value("carrito_redis_up{node=\"replica-2\"}"), 0);
    assert_int_equal(metrics_unit_value("carrito_redis_breaker_open{node=\"replica-2\"}"),
                     1);
}

static void nodes_come_up_one_by_one(void **state)
{
    assert_int_equal(redis_replicas(), 2);
    assert_string_equal(redis_name(master), "master");
    assert_string_equal(redis_name(replica), "replica-1");
    assert_string_equal(redis_name(dead), "replica-2");
    co_unit_run(come_up, *state);
}

// What each connection begins with: who we are, on the master the scripts, then a probe.
static void connections_are_greeted(void **state)
{
    (void)state;
    const struct resp_shared *m = master_node.shared, *r = replica_node.shared;
    assert_int_equal(m->connections, 1);
    assert_int_equal(r->connections, 1);
    assert_string_equal(m->begun_with, "AUTH SCRIPT SCRIPT EXISTS ");
    assert_string_equal(r->begun_with, "AUTH EXISTS ");
    assert_int_equal(m->auths, 1);
    assert_int_equal(r->auths, 1);
    assert_int_equal(m->scripts, 2);
    assert_int_equal(r->scripts, 0);
    assert_int_equal(m->probes, 1);
    assert_int_equal(r->probes, 1);
    assert_int_equal(strlen(script_a.sha), 40);
    assert_int_equal(strlen(script_b.sha), 40);
    assert_string_not_equal(script_a.sha, script_b.sha);
}

static void read_answers(void *mem)
{
    struct call call = get(mem, replica, "integer");
    assert_int_equal(call.err.code, ERR_NONE);
    assert_int_equal(call.reply.type, REDIS_INTEGER);
    assert_int_equal(call.reply.integer, -42);
    assert_true(call.redis_ns > 0);

    call = get(mem, replica, "status");
    assert_int_equal(call.reply.type, REDIS_STRING);
    assert_string_equal(call.reply.text, "FINE");
    assert_int_equal(call.reply.len, 4);

    call = get(mem, replica, "nil");
    assert_int_equal(call.err.code, ERR_NONE);
    assert_int_equal(call.reply.type, REDIS_NIL);

    call = get(mem, replica, "array");
    assert_int_equal(call.reply.type, REDIS_ARRAY);
    assert_int_equal(call.reply.n_items, 4);
    const struct redis_reply *items = call.reply.items;
    assert_string_equal(items[0].text, "a");
    assert_int_equal(items[1].integer, 7);
    assert_int_equal(items[2].type, REDIS_NIL); // an error inside
    assert_int_equal(items[3].type, REDIS_ARRAY);
    assert_int_equal(items[3].n_items, 2);
    assert_int_equal(items[3].items[0].type, REDIS_NIL);
    assert_int_equal(items[3].items[1].type, REDIS_STRING);
    assert_int_equal(items[3].items[1].len, 0);
    talloc_free_children(mem);
}

static void answers_of_all_types_are_read(void **state)
{
    co_unit_run(read_answers, *state);
}

static void send_bytes(void *mem)
{
    struct work work = {.mem = mem, .deadline = CO_FOREVER};
    struct redis_reply reply;
    static const char bytes[] = "echo:a\0b\r\n$3\r\n\xFF*";
    struct redis_arg args[] = {redis_arg_text("GET"), {bytes, sizeof bytes - 1}};
    assert_int_equal(redis_call(&work, master, args, 2, &reply).code, ERR_NONE);
    assert_int_equal(reply.len, sizeof bytes - 6);
    assert_memory_equal(reply.text, bytes + 5, reply.len + 1);
    assert_ptr_equal(talloc_parent(reply.text), mem);

    // More than a socket holds.
    size_t len = (size_t)1024 * 1024;
    char *big = mem_array(mem, char, len);
    for (size_t i = 0; i < len; i++)
        big[i] = i < 5 ? "echo:"[i] : (char)('a' + i % 26);
    args[1] = (struct redis_arg){big, len};
    assert_int_equal(redis_call(&work, master, args, 2, &reply).code, ERR_NONE);
    assert_int_equal(reply.len, len - 5);
    assert_memory_equal(reply.text, big + 5, len - 5);
    talloc_free_children(mem);
}

static void arguments_are_bytes_and_may_be_large(void **state)
{
    co_unit_run(send_bytes, *state);
}

#define CROWD 200

static void call_at_once(void *mem)
{
    static struct call calls[CROWD];
    int reads = replica_node.shared->reads;
    for (size_t i = 0; i < CROWD; i++) {
        calls[i] = (struct call){.node = replica, .mem = talloc_new(mem)};
        snprintf(calls[i].key, sizeof calls[i].key, "echo:%zu", i * 7919);
        co_start(make_call, &calls[i]);
    }
    for (size_t i = 0; i < CROWD; i++) {
        co_unit_until(&calls[i].done);
        assert_int_equal(calls[i].err.code, ERR_NONE);
        assert_string_equal(calls[i].reply.text, calls[i].key + 5);
        talloc_free(calls[i].mem);
    }
    assert_int_equal(replica_node.shared->reads, reads + 1);
}

static void the_commands_of_a_turn_leave_in_one_write(void **state)
{
    co_unit_run(call_at_once, *state);
}

// Failures

static void be_refused(void *mem)
{
    static const char *const errors[] = {"ERR unknown command", "OOM command not allowed",
                                         "WRONGTYPE Operation against a key",
                                         "NOREPLICAS Not enough good replicas"};
    int connections = master_node.shared->connections;
    for (size_t i = 0; i < LENGTH(errors); i++) {
        char key[64];
        snprintf(key, sizeof key, "error:%s", errors[i]);
        struct call call = get(mem, master, key);
        assert_int_equal(call.err.code, ERR_REDIS);
        assert_string_equal(call.err.detail, errors[i]);
        assert_true(redis_is_up(master));
    }
    assert_int_equal(master_node.shared->connections, connections);
    talloc_free_children(mem);
}

static void a_refused_command_is_not_a_failed_node(void **state)
{
    co_unit_run(be_refused, *state);
}

static void be_unable(void *mem)
{
    static const char *const errors[] = {
        "LOADING Redis is loading the dataset in memory",
        "MASTERDOWN Link with MASTER is down",
        "READONLY You can't write against a read only replica.",
        "NOAUTH Authentication required.",
        "NOPERM this user has no permissions",
    };
    struct resp_shared *shared = master_node.shared;
    for (size_t i = 0; i < LENGTH(errors); i++) {
        char key[64];
        snprintf(shared->probe_error, sizeof shared->probe_error, "%s", errors[i]);
        snprintf(key, sizeof key, "error:%s", errors[i]);
        struct call call = get(mem, master, key);
        assert_int_equal(call.err.code, ERR_REDIS);
        assert_string_equal(call.err.detail, errors[i]);
        assert_false(redis_is_up(master));
        assert_int_equal(
            metrics_unit_value("carrito_redis_breaker_open{node=\"master\"}"), 1);
        assert_int_equal(metrics_unit_value("carrito_redis_up{node=\"master\"}"), 0);
        // Probed again and again, and up once the probe is answered.
        for (int probes = shared->probes; shared->probes < probes + 2;) {
            assert_false(redis_is_up(master));
            co_unit_yield();
        }
        shared->probe_error[0] = '\0';
        wait_until_up(master, true);
        check_echo(mem, master, "again");
        check_echo(mem, replica, "untroubled");
    }
    talloc_free_children(mem);
}

static void a_node_that_cannot_serve_is_left_alone_until_it_can(void **state)
{
    co_unit_run(be_unable, *state);
}

static void answer_late(void *mem)
{
    struct call calls[] = {{.node = master, .key = "late:600", .mem = mem},
                           {.node = master, .key = "echo:behind", .mem = mem},
                           {.node = master, .key = "echo:further", .mem = mem}};
    int connections = master_node.shared->connections;
    co_start(make_call, &calls[0]);
    co_unit_yield();
    loop_sleep_ms(TIMEOUT_MS / 2);
    co_start(make_call, &calls[1]);
    co_start(make_call, &calls[2]);
    co_unit_until(&calls[0].done);
    assert_int_equal(calls[0].err.code, ERR_REDIS);
    assert_true(calls[0].took_ms >= TIMEOUT_MS - 1 && calls[0].took_ms < 500);
    assert_true(calls[0].redis_ns >= (TIMEOUT_MS - 1) * MS);
    assert_false(redis_is_up(master));
    // Who waited behind it is told at once, and so is who comes now.
    co_unit_until(&calls[1].done);
    co_unit_until(&calls[2].done);
    for (size_t i = 1; i < LENGTH(calls); i++) {
        assert_int_equal(calls[i].err.code, ERR_REDIS);
        assert_true(calls[i].took_ms < TIMEOUT_MS - 10);
    }
    struct call call = get(mem, master, "echo:now");
    assert_int_equal(call.err.code, ERR_REDIS);
    assert_int_equal(call.redis_ns, 0);
    check_echo(mem, replica, "untroubled");
    // It comes back by itself, and no answer from before is taken for a new one.
    wait_until_up(master, true);
    assert_true(master_node.shared->connections > connections);
    for (int i = 0; i < 20; i++) {
        char text[16];
        snprintf(text, sizeof text, "new%d", i);
        check_echo(mem, master, text);
    }
    talloc_free_children(mem);
}

static void a_late_answer_opens_the_breaker(void **state)
{
    co_unit_run(answer_late, *state);
}

static void break_off(void *mem)
{
    static const char *const keys[] = {"close", "half", "nonsense"};
    for (size_t i = 0; i < LENGTH(keys); i++) {
        struct call calls[2] = {{.node = replica, .mem = mem},
                                {.node = replica, .mem = mem, .key = "echo:behind"}};
        strcpy(calls[0].key, keys[i]);
        co_start(make_call, &calls[0]);
        co_start(make_call, &calls[1]);
        for (size_t k = 0; k < 2; k++) {
            co_unit_until(&calls[k].done);
            assert_int_equal(calls[k].err.code, ERR_REDIS);
            assert_non_null(calls[k].err.detail);
            assert_true(calls[k].took_ms < TIMEOUT_MS - 10);
        }
        wait_until_up(replica, true);
        check_echo(mem, replica, "again");
    }
    talloc_free_children(mem);
}

static void a_lost_connection_is_told_at_once(void **state)
{
    co_unit_run(break_off, *state);
}

// With nothing on its way, too.
static void close_at_rest(void *mem)
{
    replica_node.shared->hang_up = true;
    wait_until_up(replica, false);
    loop_sleep_ms(3 * RETRY_MS);
    assert_false(redis_is_up(replica));
    replica_node.shared->hang_up = false;
    wait_until_up(replica, true);
    check_echo(mem, replica, "again");
    talloc_free_children(mem);
}

static void a_connection_lost_at_rest_is_noticed(void **state)
{
    co_unit_run(close_at_rest, *state);
}

static void be_silent(void *mem)
{
    struct resp_shared *shared = replica_node.shared;
    shared->silent = true;
    struct call call = get(mem, replica, "echo:x");
    assert_int_equal(call.err.code, ERR_REDIS);
    // It takes connections, but says nothing on them.
    for (int connections = shared->connections; shared->connections < connections + 2;) {
        assert_false(redis_is_up(replica));
        co_unit_yield();
    }
    shared->silent = false;
    wait_until_up(replica, true);
    check_echo(mem, replica, "again");
    talloc_free_children(mem);
}

static void a_node_that_says_nothing_stays_down(void **state)
{
    co_unit_run(be_silent, *state);
}

static void be_locked_out(void *mem)
{
    struct resp_shared *shared = replica_node.shared;
    strcpy(shared->password, "another");
    shared->hang_up = true;
    wait_until_up(replica, false);
    shared->hang_up = false;
    for (int auths = shared->auths; shared->auths < auths + 2;) {
        assert_false(redis_is_up(replica));
        co_unit_yield();
    }
    strcpy(shared->password, PASSWORD);
    wait_until_up(replica, true);
    check_echo(mem, replica, "again");
    talloc_free_children(mem);
}

static void without_the_password_a_node_stays_down(void **state)
{
    co_unit_run(be_locked_out, *state);
}

// Scripts, and commands that nobody waits for

static void check_eval(void *mem, const struct redis_script *script, const char *expected)
{
    struct work work = {.mem = mem, .deadline = CO_FOREVER};
    struct redis_arg args[] = {redis_arg_text("one"), redis_arg_text("2")};
    struct redis_reply reply;
    struct err err =
        redis_eval(&work, master, script, redis_arg_text("key"), args, 2, &reply);
    assert_int_equal(err.code, ERR_NONE);
    assert_string_equal(reply.text, expected);
    assert_true(work.redis_ns > 0);
}

static void evaluate(void *mem)
{
    static const struct redis_script never_loaded = {.text = "return 'c'"};
    char expected[128];
    snprintf(expected, sizeof expected, "<EVALSHA><%s><1><key><one><2>", script_a.sha);
    check_eval(mem, &script_a, expected);
    snprintf(expected, sizeof expected, "<EVALSHA><%s><1><key><one><2>", script_b.sha);
    check_eval(mem, &script_b, expected);
    master_node.shared->no_scripts = true;
    check_eval(mem, &script_a, "<EVAL><return 'a'><1><key><one><2>");
    check_eval(mem, &never_loaded, "<EVAL><return 'c'><1><key><one><2>");
    assert_true(redis_is_up(master));
    master_node.shared->no_scripts = false;
    talloc_free_children(mem);
}

static void scripts_go_by_name_or_else_by_text(void **state)
{
    co_unit_run(evaluate, *state);
}

static void send_only(void *mem)
{
    struct resp_shared *shared = master_node.shared;
    struct redis_arg touch[] = {redis_arg_text("TOUCH"), redis_arg_text("k")};
    struct redis_arg bad[] = {redis_arg_text("GET"), redis_arg_text("error:ERR x")};
    int touches = shared->touches;
    for (int i = 0; i < 3; i++)
        redis_send(master, touch, 2);
    redis_send(master, bad, 2);
    redis_send(dead, touch, 2);
    check_echo(mem, master, "behind"); // and their answers are not taken for this one's
    assert_int_equal(shared->touches, touches + 3);
    assert_true(redis_is_up(master));
    talloc_free_children(mem);
}

static void nobody_waits_for_what_is_only_sent(void **state)
{
    co_unit_run(send_only, *state);
}

// What the master is to be sent before it is used: a number of commands, of which one may
// be refused the first time.
static struct {
    int wanted, refused_at, sent, asked_anew;
} debts;

static bool next_debt(void *mem, bool sent, struct redis_arg *args, size_t *n_args)
{
    assert_non_null(mem);
    assert_false(redis_is_up(master));
    debts.sent += sent;
    debts.asked_anew += !sent;
    if (debts.sent == debts.wanted)
        return false;
    bool refused = debts.sent + 1 == debts.refused_at;
    if (refused)
        debts.refused_at = 0;
    args[0] = redis_arg_text(refused ? "GET" : "UNLINK");
    args[1] = redis_arg_text(refused ? "error:ERR not now" : "k");
    *n_args = 2;
    return true;
}

static void begin_anew(void *mem)
{
    static const char begin[] = "AUTH SCRIPT SCRIPT EXISTS UNLINK UNLINK UNLINK GET ";
    struct resp_shared *shared = master_node.shared;
    redis_on_master(next_debt);
    debts.wanted = 3;
    redis_drop(dead, "it is down anyway");
    redis_drop(master, "a test");
    assert_false(redis_is_up(master));
    redis_drop(master, "a test"); // nothing more
    wait_until_up(master, true);
    check_echo(mem, master, "used");
    assert_string_equal(shared->begun_with, begin);
    assert_int_equal(debts.asked_anew, 1);

    // One that is refused fails the connection; what was answered is not sent again.
    debts.sent = debts.asked_anew = 0;
    debts.refused_at = 2;
    int connections = shared->connections;
    redis_drop(master, "a test");
    wait_until_up(master, true);
    check_echo(mem, master, "used");
    assert_int_equal(shared->connections, connections + 2);
    assert_int_equal(debts.asked_anew, 2);
    assert_string_equal(shared->begun_with,
                        "AUTH SCRIPT SCRIPT EXISTS UNLINK UNLINK GET ");

    // Replicas are not asked for it.
    redis_drop(replica, "a test");
    wait_until_up(replica, true);
    check_echo(mem, replica, "used");
    assert_string_equal(replica_node.shared->begun_with, "AUTH EXISTS GET ");
    redis_on_master(NULL);
    talloc_free_children(mem);
}

static void what_is_owed_is_sent_before_the_master_is_used(void **state)
{
    co_unit_run(begin_anew, *state);
}

static void call_the_dead(void *mem)
{
    struct call call = get(mem, dead, "echo:x");
    assert_int_equal(call.err.code, ERR_REDIS);
    assert_true(call.took_ms < TIMEOUT_MS / 2);
    assert_int_equal(call.redis_ns, 0);
    talloc_free_children(mem);
}

static void a_node_that_is_down_is_not_waited_for(void **state)
{
    co_unit_run(call_the_dead, *state);
}

// Last: after this the keepers sleep, and nothing is left on their stacks.
static void die(void *mem)
{
    config.redis_retry_ms = 60000;
    struct call call = {.node = master, .key = "late:900", .mem = mem};
    co_start(make_call, &call);
    co_unit_yield();
    resp_stop(&master_node);
    resp_stop(&replica_node);
    co_unit_until(&call.done);
    assert_int_equal(call.err.code, ERR_REDIS);
    assert_true(call.took_ms < TIMEOUT_MS - 10);
    wait_until_up(master, false);
    wait_until_up(replica, false);
    loop_sleep_ms(3 * RETRY_MS);
    talloc_free_children(mem);
}

static void nodes_that_die_go_down(void **state)
{
    co_unit_run(die, *state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(nodes_come_up_one_by_one),
        UNIT_TEST(connections_are_greeted),
        UNIT_TEST(answers_of_all_types_are_read),
        UNIT_TEST(arguments_are_bytes_and_may_be_large),
        UNIT_TEST(the_commands_of_a_turn_leave_in_one_write),
        UNIT_TEST(a_refused_command_is_not_a_failed_node),
        UNIT_TEST(a_node_that_cannot_serve_is_left_alone_until_it_can),
        UNIT_TEST(a_late_answer_opens_the_breaker),
        UNIT_TEST(a_lost_connection_is_told_at_once),
        UNIT_TEST(a_connection_lost_at_rest_is_noticed),
        UNIT_TEST(a_node_that_says_nothing_stays_down),
        UNIT_TEST(without_the_password_a_node_stays_down),
        UNIT_TEST(scripts_go_by_name_or_else_by_text),
        UNIT_TEST(nobody_waits_for_what_is_only_sent),
        UNIT_TEST(what_is_owed_is_sent_before_the_master_is_used),
        UNIT_TEST(a_node_that_is_down_is_not_waited_for),
        UNIT_TEST(nodes_that_die_go_down),
    };
    resp_start(&master_node, PASSWORD);
    resp_start(&replica_node, PASSWORD);
    close(resp_listen(dead_port));
    config.redis_master = (struct config_addr){"127.0.0.1", master_node.port};
    config.redis_replicas[0] = (struct config_addr){"127.0.0.1", replica_node.port};
    config.redis_replicas[1] = (struct config_addr){"127.0.0.1", dead_port};
    config.n_redis_replicas = 2;
    signal(SIGPIPE, SIG_IGN);
    log_set_level(LOG_ERROR);
    loop_init();
    redis_setup(&config);
    redis_add_script(&script_a);
    redis_add_script(&script_b);
    master = redis_master();
    replica = redis_replica(0);
    dead = redis_replica(1);
    return UNIT_RUN(tests);
}
