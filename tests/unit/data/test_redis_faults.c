#include "redis_unit.h"

static void nodes_come_up(void **state)
{
    co_unit_run(redis_unit_come_up, *state);
}

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

// A request that has hardly any time left gets no answer; the node is not to blame.
static void be_short_of_time(void *mem)
{
    struct call calls[] = {{.node = master, .key = "late:50", .mem = mem},
                           {.node = master, .key = "late:50", .mem = mem},
                           {.node = master, .key = "echo:behind", .mem = mem}};
    int connections = master_node.shared->connections;
    calls[0].deadline = clock_mono_ns();
    make_call(&calls[0]);
    assert_int_equal(calls[0].err.code, ERR_REDIS);
    assert_true(redis_is_up(master));

    calls[1].deadline = co_unit_in_ms(10);
    co_start(make_call, &calls[1]);
    co_start(make_call, &calls[2]);
    co_unit_until(&calls[1].done);
    assert_int_equal(calls[1].err.code, ERR_REDIS);
    assert_true(redis_is_up(master));
    co_unit_until(&calls[2].done); // and its late answer is nobody else's
    assert_int_equal(calls[2].err.code, ERR_NONE);
    assert_string_equal(calls[2].reply.text, "behind");
    assert_int_equal(master_node.shared->connections, connections);
    talloc_free_children(mem);
}

static void a_request_short_of_time_opens_no_breaker(void **state)
{
    co_unit_run(be_short_of_time, *state);
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

// Last.
static void die(void *mem)
{
    struct call call = {.node = master, .key = "late:900", .mem = mem};
    co_start(make_call, &call);
    co_unit_yield();
    kill(master_node.pid, SIGKILL);
    co_unit_until(&call.done);
    assert_int_equal(call.err.code, ERR_REDIS);
    assert_true(call.took_ms < TIMEOUT_MS - 10);
    redis_unit_end(mem);
    talloc_free_children(mem);
}

static void nodes_that_die_go_down(void **state)
{
    co_unit_run(die, *state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(nodes_come_up),
        UNIT_TEST(a_refused_command_is_not_a_failed_node),
        UNIT_TEST(a_node_that_cannot_serve_is_left_alone_until_it_can),
        UNIT_TEST(a_late_answer_opens_the_breaker),
        UNIT_TEST(a_request_short_of_time_opens_no_breaker),
        UNIT_TEST(a_lost_connection_is_told_at_once),
        UNIT_TEST(a_connection_lost_at_rest_is_noticed),
        UNIT_TEST(a_node_that_says_nothing_stays_down),
        UNIT_TEST(without_the_password_a_node_stays_down),
        UNIT_TEST(a_node_that_is_down_is_not_waited_for),
        UNIT_TEST(nodes_that_die_go_down),
    };
    redis_unit_begin();
    return UNIT_RUN(tests);
}
