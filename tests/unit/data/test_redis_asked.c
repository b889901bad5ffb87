// Commands that are on their way together, and the second connection to each node.
#include "redis_unit.h"

static void nodes_come_up(void **state)
{
    co_unit_run(redis_unit_come_up, *state);
}

static struct redis_asked *ask(struct work *work, struct redis_node *node,
                               const char *key)
{
    struct redis_arg args[] = {redis_arg_text("GET"), redis_arg_text(key)};
    return redis_ask(work, node, args, 2);
}

static void check_answer(struct work *work, struct redis_asked *asked, const char *text)
{
    struct redis_reply reply;
    assert_non_null(asked);
    struct err err = redis_answer(work, asked, co_unit_in_ms(TIMEOUT_MS), true, &reply);
    assert_int_equal(err.code, ERR_NONE);
    assert_string_equal(reply.text, text);
}

static void ask_several(void *mem)
{
    struct work work = {.mem = talloc_new(mem), .deadline = CO_FOREVER};
    struct redis_reply reply;
    int reads = master_node.shared->reads;
    struct redis_arg args[] = {redis_arg_text("k1"), redis_arg_text("k2"),
                               redis_arg_text("one")};
    struct redis_asked *first = ask(&work, master, "echo:first");
    struct redis_asked *script = redis_ask_eval(&work, master, &script_a, 2, args, 3);
    struct redis_asked *refused = ask(&work, master, "error:ERR no");
    struct redis_asked *last = ask(&work, master, "echo:last");
    // Any order will do.
    check_answer(&work, last, "last");
    assert_true(work.redis_ns > 0);
    assert_int_equal(master_node.shared->reads, reads + 1); // they left in one write
    char expected[128];
    snprintf(expected, sizeof expected, "<EVALSHA><%s><2><k1><k2><one>", script_a.sha);
    check_answer(&work, script, expected);
    check_answer(&work, first, "first");
    struct err err = redis_answer(&work, refused, CO_FOREVER, true, &reply);
    assert_int_equal(err.code, ERR_REDIS);
    assert_string_equal(err.detail, "ERR no");
    assert_true(redis_is_up(master));
    talloc_free_children(mem);
}

static void several_commands_are_on_their_way_at_once(void **state)
{
    co_unit_run(ask_several, *state);
}

static void ask_for_an_unknown_script(void *mem)
{
    struct work work = {.mem = talloc_new(mem), .deadline = CO_FOREVER};
    struct redis_arg key = redis_arg_text("k");
    struct redis_reply reply;
    master_node.shared->no_scripts = true;
    struct redis_asked *asked = redis_ask_eval(&work, master, &script_a, 1, &key, 1);
    struct err err = redis_answer(&work, asked, CO_FOREVER, true, &reply);
    master_node.shared->no_scripts = false;
    assert_int_equal(err.code, ERR_REDIS);
    assert_int_equal(strncmp(err.detail, "NOSCRIPT", 8), 0);
    assert_true(redis_is_up(master));
    talloc_free_children(mem);
}

static void a_script_that_is_not_known_is_an_error_here(void **state)
{
    co_unit_run(ask_for_an_unknown_script, *state);
}

static void wait_too_long(void *mem)
{
    struct work work = {.mem = talloc_new(mem), .deadline = CO_FOREVER};
    struct redis_reply reply;
    struct redis_node *second = redis_second(master);

    // Nobody's fault: the connection stays, and the late answer is nobody else's.
    int connections = master_node.shared->connections;
    struct redis_asked *late = ask(&work, second, "late:50");
    struct redis_asked *behind = ask(&work, second, "echo:behind");
    struct err err = redis_answer(&work, late, co_unit_in_ms(10), false, &reply);
    assert_int_equal(err.code, ERR_REDIS);
    check_answer(&work, behind, "behind");
    assert_true(redis_is_up(second));
    assert_int_equal(master_node.shared->connections, connections);

    // The node's fault: what is behind is told at once.
    late = ask(&work, second, "late:300");
    behind = ask(&work, second, "echo:behind");
    err = redis_answer(&work, late, co_unit_in_ms(10), true, &reply);
    assert_int_equal(err.code, ERR_REDIS);
    int64_t begun = clock_mono_ns();
    err = redis_answer(&work, behind, CO_FOREVER, true, &reply);
    assert_int_equal(err.code, ERR_REDIS);
    assert_true(since_ms(begun) < 100);
    assert_false(redis_is_up(second));
    wait_until_up(second, true);
    talloc_free_children(mem);
}

static void a_late_answer_is_a_fault_where_the_caller_says_so(void **state)
{
    co_unit_run(wait_too_long, *state);
}

static void ask_the_dead(void *mem)
{
    struct work work = {.mem = mem, .deadline = CO_FOREVER};
    struct redis_arg key = redis_arg_text("k");
    assert_null(ask(&work, dead, "echo:x"));
    assert_null(ask(&work, redis_second(dead), "echo:x"));
    assert_null(redis_ask_eval(&work, dead, &script_a, 1, &key, 1));
}

static void a_node_that_is_down_is_not_asked(void **state)
{
    co_unit_run(ask_the_dead, *state);
}

// A connection that WAIT blocks holds up nothing on the other one, and each fails alone.
static void use_both(void *mem)
{
    struct work work = {.mem = talloc_new(mem), .deadline = CO_FOREVER};
    struct redis_node *second = redis_second(replica);
    struct redis_reply reply;
    assert_ptr_not_equal(second, replica);
    assert_string_equal(redis_name(second), redis_name(replica));
    assert_string_equal(redis_addr(second), redis_addr(replica));
    assert_ptr_equal(redis_find(redis_addr(second)), replica);

    struct redis_asked *slow = ask(&work, second, "close");
    check_echo(mem, replica, "untroubled");
    struct err err = redis_answer(&work, slow, co_unit_in_ms(TIMEOUT_MS), true, &reply);
    assert_int_equal(err.code, ERR_REDIS);
    assert_false(redis_is_up(second));
    assert_true(redis_is_up(replica));
    assert_int_equal(metrics_unit_value("carrito_redis_up{node=\"replica-1\"}"), 1);
    wait_until_up(second, true);

    struct call call = get(mem, replica, "close");
    assert_int_equal(call.err.code, ERR_REDIS);
    assert_false(redis_is_up(replica));
    check_echo(mem, second, "untroubled");
    wait_until_up(replica, true);
    talloc_free_children(mem);
}

static void the_second_connection_is_one_of_its_own(void **state)
{
    co_unit_run(use_both, *state);
}

static void nodes_that_die_go_down(void **state)
{
    co_unit_run(redis_unit_end, *state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(nodes_come_up),
        UNIT_TEST(several_commands_are_on_their_way_at_once),
        UNIT_TEST(a_script_that_is_not_known_is_an_error_here),
        UNIT_TEST(a_late_answer_is_a_fault_where_the_caller_says_so),
        UNIT_TEST(a_node_that_is_down_is_not_asked),
        UNIT_TEST(the_second_connection_is_one_of_its_own),
        UNIT_TEST(nodes_that_die_go_down),
    };
    redis_unit_begin();
    return UNIT_RUN(tests);
}
