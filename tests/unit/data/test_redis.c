#include "redis_unit.h"

static void come_up(void *mem)
{
    redis_unit_come_up(mem);
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
    char addr[32];
    assert_int_equal(redis_nodes(), 3);
    assert_string_equal(redis_name(master), "master");
    assert_string_equal(redis_name(replica), "replica-1");
    assert_string_equal(redis_name(dead), "replica-2");
    snprintf(addr, sizeof addr, "127.0.0.1:%s", replica_node.port);
    assert_string_equal(redis_addr(replica), addr);
    co_unit_run(come_up, *state);
}

// The role may move, the names stay.
static void a_node_is_found_by_its_address(void **state)
{
    (void)state;
    for (size_t i = 0; i < redis_nodes(); i++)
        assert_ptr_equal(redis_find(redis_addr(redis_node(i))), redis_node(i));
    static const char *const others[] = {"",           ":",      "127.0.0.1",
                                         "127.0.0.1:", "master", "localhost:1"};
    for (size_t i = 0; i < LENGTH(others); i++)
        assert_null(redis_find(others[i]));
    assert_ptr_equal(redis_master(), master);
    redis_set_master(replica);
    assert_ptr_equal(redis_master(), replica);
    assert_string_equal(redis_name(replica), "replica-1");
    redis_set_master(master);
}

// What each connection begins with: who we are, the scripts, as any node may become the
// master, then a probe.
static void connections_are_greeted(void **state)
{
    (void)state;
    const struct resp_shared *all[] = {master_node.shared, replica_node.shared};
    for (size_t i = 0; i < LENGTH(all); i++) {
        assert_int_equal(all[i]->connections, 2);
        assert_string_equal(all[i]->begun_with, "AUTH SCRIPT SCRIPT EXISTS ");
        assert_int_equal(all[i]->auths, 2);
        assert_int_equal(all[i]->scripts, 4);
        assert_int_equal(all[i]->probes, 2);
    }
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

// Scripts, and commands that nobody waits for

static void check_eval(void *mem, const struct redis_script *script, size_t n_keys,
                       const char *expected)
{
    struct work work = {.mem = mem, .deadline = CO_FOREVER};
    struct redis_arg args[] = {redis_arg_text("key"), redis_arg_text("one"),
                               redis_arg_text("2")};
    struct redis_reply reply;
    struct err err = redis_eval(&work, master, script, n_keys, args, 3, &reply);
    assert_int_equal(err.code, ERR_NONE);
    assert_string_equal(reply.text, expected);
    assert_true(work.redis_ns > 0);
}

static void evaluate(void *mem)
{
    static const struct redis_script never_loaded = {.text = "return 'c'"};
    char expected[128];
    snprintf(expected, sizeof expected, "<EVALSHA><%s><1><key><one><2>", script_a.sha);
    check_eval(mem, &script_a, 1, expected);
    snprintf(expected, sizeof expected, "<EVALSHA><%s><2><key><one><2>", script_b.sha);
    check_eval(mem, &script_b, 2, expected);
    snprintf(expected, sizeof expected, "<EVALSHA><%s><0><key><one><2>", script_b.sha);
    check_eval(mem, &script_b, 0, expected);
    master_node.shared->no_scripts = true;
    check_eval(mem, &script_a, 1, "<EVAL><return 'a'><1><key><one><2>");
    check_eval(mem, &never_loaded, 3, "<EVAL><return 'c'><3><key><one><2>");
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

static void nodes_that_die_go_down(void **state)
{
    co_unit_run(redis_unit_end, *state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(nodes_come_up_one_by_one),
        UNIT_TEST(a_node_is_found_by_its_address),
        UNIT_TEST(connections_are_greeted),
        UNIT_TEST(answers_of_all_types_are_read),
        UNIT_TEST(arguments_are_bytes_and_may_be_large),
        UNIT_TEST(the_commands_of_a_turn_leave_in_one_write),
        UNIT_TEST(scripts_go_by_name_or_else_by_text),
        UNIT_TEST(nobody_waits_for_what_is_only_sent),
        UNIT_TEST(nodes_that_die_go_down),
    };
    redis_unit_begin();
    return UNIT_RUN(tests);
}
