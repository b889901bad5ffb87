// Reads of one turn that leave as one command.
#include "redis_unit.h"

#include "data/redis_gather.h"

#define COMMON "echo:common"

struct reader {
    struct redis_node *node;
    char key[64];
    void *mem;
    int64_t deadline;
    bool done;
    struct err err;
    char value[64], with[64];
    int64_t redis_ns;
};

static const char *text_of(const struct redis_reply *reply)
{
    return reply->type == REDIS_STRING ? reply->text : "(none)";
}

static void gather(void *arg)
{
    static const char common[] = COMMON;
    struct reader *reader = arg;
    struct work work = {.mem = reader->mem, .deadline = reader->deadline};
    struct redis_reply value, with;
    reader->err = redis_gather(&work, reader->node, redis_arg_text(reader->key),
                               redis_arg_text(common), &value, &with);
    if (!err_is(reader->err)) {
        snprintf(reader->value, sizeof reader->value, "%s", text_of(&value));
        snprintf(reader->with, sizeof reader->with, "%s", text_of(&with));
    }
    reader->redis_ns = work.redis_ns;
    reader->done = true;
}

static void start(struct reader *reader, void *mem, struct redis_node *node,
                  const char *key)
{
    *reader =
        (struct reader){.node = node, .mem = talloc_new(mem), .deadline = CO_FOREVER};
    snprintf(reader->key, sizeof reader->key, "%s", key);
    co_start(gather, reader);
}

static void check_value(struct reader *reader, const char *value)
{
    co_unit_until(&reader->done);
    assert_int_equal(reader->err.code, ERR_NONE);
    assert_string_equal(reader->value, value);
    assert_string_equal(reader->with, "common");
    assert_true(reader->redis_ns > 0);
}

static void check_failed(struct reader *reader, const char *detail)
{
    co_unit_until(&reader->done);
    assert_int_equal(reader->err.code, ERR_REDIS);
    assert_string_equal(reader->err.detail, detail);
}

static void nodes_come_up(void **state)
{
    co_unit_run(redis_unit_come_up, *state);
}

static void read_in_one_turn(void *mem)
{
    struct reader readers[6];
    int at_master = master_node.shared->mgets, at_replica = replica_node.shared->mgets;
    start(&readers[0], mem, replica, "echo:a");
    start(&readers[1], mem, master, "echo:b");
    start(&readers[2], mem, replica, "nothing");
    start(&readers[3], mem, replica, "echo:");
    start(&readers[4], mem, replica, "echo:a");
    start(&readers[5], mem, master, "echo:f");
    check_value(&readers[0], "a");
    check_value(&readers[1], "b");
    check_value(&readers[2], "(none)");
    check_value(&readers[3], "");
    check_value(&readers[4], "a");
    check_value(&readers[5], "f");
    assert_int_equal(master_node.shared->mgets, at_master + 1);
    assert_int_equal(replica_node.shared->mgets, at_replica + 1);

    // A later turn's reads are another command, although the first has no answer yet.
    start(&readers[0], mem, replica, "late:30");
    co_unit_yield();
    start(&readers[1], mem, replica, "echo:next");
    check_value(&readers[0], "late");
    check_value(&readers[1], "next");
    assert_int_equal(replica_node.shared->mgets, at_replica + 3);
    talloc_free_children(mem);
}

static void a_turn_s_reads_are_one_command_for_each_node(void **state)
{
    co_unit_run(read_in_one_turn, *state);
}

static void read_very_many(void *mem)
{
    static struct reader readers[150];
    int before = replica_node.shared->mgets;
    char key[32];
    for (int i = 0; i < 150; i++) {
        snprintf(key, sizeof key, "echo:%d", i);
        start(&readers[i], mem, replica, key);
    }
    for (int i = 0; i < 150; i++) {
        snprintf(key, sizeof key, "%d", i);
        check_value(&readers[i], key);
    }
    assert_int_equal(replica_node.shared->mgets, before + 3); // 64, 64 and 22
    talloc_free_children(mem);
}

static void a_command_has_a_limit(void **state)
{
    co_unit_run(read_very_many, *state);
}

static void give_up(void *mem)
{
    struct reader hasty, patient, no_time;
    start(&hasty, mem, master, "echo:hasty");
    hasty.deadline = co_unit_in_ms(5);
    start(&patient, mem, master, "late:40");
    start(&no_time, mem, master, "echo:never");
    no_time.deadline = clock_mono_ns() - 1;
    check_failed(&no_time, "no time was left to ask");
    check_failed(&hasty, "no answer within the deadline");
    talloc_free(hasty.mem); // which no answer may touch any more
    check_value(&patient, "late");
    assert_true(redis_is_up(master));
    talloc_free_children(mem);
}

static void one_that_gives_up_leaves_the_others(void **state)
{
    co_unit_run(give_up, *state);
}

static void fail_together(void *mem)
{
    struct reader readers[3];
    start(&readers[0], mem, replica, "echo:a");
    start(&readers[1], mem, replica, "short");
    check_failed(&readers[0], "another answer than MGET's");
    check_failed(&readers[1], "another answer than MGET's");

    start(&readers[0], mem, replica, "echo:a");
    start(&readers[1], mem, replica, "close");
    check_failed(&readers[0], "the connection was lost");
    check_failed(&readers[1], "the connection was lost");
    assert_false(redis_is_up(replica));
    start(&readers[2], mem, replica, "echo:b");
    check_failed(&readers[2], "the node is down");
    wait_until_up(replica, true);

    replica_node.shared->silent = true;
    int64_t begun = clock_mono_ns();
    start(&readers[0], mem, replica, "echo:a");
    start(&readers[1], mem, replica, "echo:b");
    check_failed(&readers[0], "no answer within the deadline");
    check_failed(&readers[1], "no answer within the deadline");
    assert_true(since_ms(begun) >= TIMEOUT_MS - 1);
    assert_false(redis_is_up(replica)); // it had its full time
    replica_node.shared->silent = false;
    wait_until_up(replica, true);

    start(&readers[0], mem, dead, "echo:a");
    check_failed(&readers[0], "the node is down");
    talloc_free_children(mem);
}

static void all_of_a_command_fail_together(void **state)
{
    co_unit_run(fail_together, *state);
}

static void nodes_that_die_go_down(void **state)
{
    co_unit_run(redis_unit_end, *state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(nodes_come_up),
        UNIT_TEST(a_turn_s_reads_are_one_command_for_each_node),
        UNIT_TEST(a_command_has_a_limit),
        UNIT_TEST(one_that_gives_up_leaves_the_others),
        UNIT_TEST(all_of_a_command_fail_together),
        UNIT_TEST(nodes_that_die_go_down),
    };
    redis_unit_begin();
    return UNIT_RUN(tests);
}
