#include "../base/unit.h"

#include <string.h>

#include "base/config.h"
#include "data/redis.h"
#include "keeper/keeper_replicas.h"

#define MS INT64_C(1000000)

static struct config config = {
    .redis_master = {"a", "1"},
    .redis_replicas = {{"b", "1"}, {"c", "1"}},
    .n_redis_replicas = 2,
};

static struct keeper_replicas replicas;
static struct replication info;

static void clear(void)
{
    memset(&replicas, 0, sizeof replicas);
}

// Heartbeats every 50 ms from the 1st to the last; one makes the stream 100 longer.
static void beat(int first_ms, int last_ms)
{
    for (int ms = first_ms; ms <= last_ms; ms += 50)
        keeper_replicas_sent(&replicas, "A", ms * MS, ms * 2);
}

static void list(const char *addr, bool online, int64_t offset)
{
    struct replication_listed *listed = &info.listed[info.n_listed++];
    snprintf(listed->addr, sizeof listed->addr, "%s", addr);
    listed->online = online;
    listed->offset = offset;
}

static void begin_info(const char *replid, int64_t offset)
{
    memset(&info, 0, sizeof info);
    info.is_master = true;
    snprintf(info.replid, sizeof info.replid, "%s", replid);
    info.offset = offset;
}

// The master lists both: b has acknowledged that offset, c is always well.
static enum replica_state heard(int ms, const char *b, bool online, int64_t acked)
{
    begin_info("A", ms * 2);
    if (b)
        list(b, online, acked);
    list("c:1", true, ms * 2);
    keeper_replicas_heard(&replicas, redis_node(0), &info, ms * MS);
    assert_int_equal(replicas.nodes[2].state, REPLICA_WELL);
    return replicas.nodes[1].state;
}

static void how_far_a_replica_is(void **state)
{
    // Heartbeats are sent until just before it is asked; b was last in step at `acked`.
    static const struct {
        int asked, acked;
        const char *b;
        bool online;
        enum replica_state is;
    } rows[] = {
        {5000, 5000, "b:1", true, REPLICA_WELL},
        {5000, 3550, "b:1", true, REPLICA_WELL},
        {5000, 3450, "b:1", true, REPLICA_BEHIND},
        {5000, 2800, "b:1", true, REPLICA_BEHIND},
        {5000, 2750, "b:1", true, REPLICA_MISSING},
        {5000, 0, "b:1", true, REPLICA_MISSING},
        {5000, 5000, "b:1", false, REPLICA_MISSING}, // what it says while it syncs
        {5000, 5000, NULL, false, REPLICA_MISSING},
        {5000, 5000, "b:2", true, REPLICA_MISSING}, // it announces another port
        {2000, 0, "b:1", true, REPLICA_BEHIND},     // heartbeats have just begun
        {2000, 2000, NULL, false, REPLICA_BEHIND},
    };
    (void)state;
    for (size_t i = 0; i < LENGTH(rows); i++) {
        clear();
        beat(1000, rows[i].asked - 50);
        enum replica_state is =
            heard(rows[i].asked, rows[i].b, rows[i].online, 2 * rows[i].acked);
        if (is != rows[i].is)
            fail_msg("row %zu: %d", i, (int)is);
    }
}

static void one_that_was_there_is_missed_later(void **state)
{
    (void)state;
    clear();
    beat(1000, 4950);
    assert_int_equal(heard(5000, "b:1", true, 10000), REPLICA_WELL);
    beat(5000, 7150);
    assert_int_equal(heard(7150, NULL, false, 0), REPLICA_BEHIND);
    beat(7200, 7250);
    assert_int_equal(heard(7250, NULL, false, 0), REPLICA_MISSING);
    assert_int_equal(replicas.nodes[1].lag, 2 * 7250 - 10000);
    assert_int_equal(heard(7300, "b:1", true, 14600), REPLICA_WELL);
    assert_int_equal(replicas.nodes[1].lag, 0);
}

// The same, told twice, is not believed.
static void one_that_is_listed_twice_is_not_there(void **state)
{
    (void)state;
    clear();
    beat(1000, 4950);
    begin_info("A", 10000);
    list("b:1", true, 10000);
    list("b:1", true, 10000);
    keeper_replicas_heard(&replicas, redis_node(0), &info, 5000 * MS);
    assert_int_equal(replicas.nodes[1].state, REPLICA_MISSING);
}

// No heartbeats are sent while PostgreSQL is silent: nobody can be behind with them.
static void without_heartbeats_nobody_is_missing(void **state)
{
    (void)state;
    clear();
    beat(1000, 2000);
    begin_info("A", 4500);
    list("b:1", true, 4100);
    list("c:1", true, 4100);
    keeper_replicas_heard(&replicas, redis_node(0), &info, 60000 * MS);
    assert_int_equal(replicas.nodes[1].state, REPLICA_BEHIND);
    assert_int_equal(replicas.nodes[2].state, REPLICA_BEHIND);
    beat(60050, 60050);
    begin_info("A", 4700);
    list("b:1", true, 4100);
    list("c:1", true, 4100);
    keeper_replicas_heard(&replicas, redis_node(0), &info, 60100 * MS);
    assert_int_equal(replicas.nodes[1].state, REPLICA_BEHIND);
}

// The keeper was stopped: the answers it reads then are new, its heartbeats are not.
static void what_counts_is_when_the_master_was_asked(void **state)
{
    (void)state;
    clear();
    beat(1000, 5000);
    assert_int_equal(heard(5000, "b:1", true, 9000), REPLICA_WELL);
    begin_info("A", 18000);
    list("b:1", true, 18000);
    list("c:1", true, 18000);
    keeper_replicas_heard(&replicas, redis_node(0), &info, 9000 * MS);
    assert_int_equal(replicas.nodes[1].state, REPLICA_BEHIND);
    assert_int_equal(replicas.nodes[2].state, REPLICA_BEHIND);
}

static void another_master_begins_anew(void **state)
{
    (void)state;
    clear();
    beat(1000, 5000);
    assert_int_equal(heard(5000, NULL, false, 0), REPLICA_MISSING);
    begin_info("B", 10);
    list("a:1", true, 10);
    list("c:1", true, 10);
    keeper_replicas_heard(&replicas, redis_node(1), &info, 5050 * MS);
    assert_string_equal(replicas.replid, "B");
    assert_int_equal(replicas.nodes[0].state, REPLICA_BEHIND);
    keeper_replicas_sent(&replicas, "B", 5100 * MS, 10);
    begin_info("B", 80);
    list("a:1", true, 80);
    list("c:1", true, 10);
    keeper_replicas_heard(&replicas, redis_node(1), &info, 5150 * MS);
    assert_int_equal(replicas.nodes[0].state, REPLICA_WELL);
    assert_int_equal(replicas.nodes[2].state, REPLICA_BEHIND);
    assert_string_equal(replicas.unknown, "");
}

static void strangers_are_named(void **state)
{
    (void)state;
    clear();
    begin_info("A", 10);
    list("b:1", true, 10);
    list("c:1", true, 10);
    list("d:1", true, 10);
    keeper_replicas_heard(&replicas, redis_node(0), &info, 1 * MS);
    assert_string_equal(replicas.unknown, "d:1");
    info.n_listed = 2;
    keeper_replicas_heard(&replicas, redis_node(0), &info, 2 * MS);
    assert_string_equal(replicas.unknown, "");
    list("a:1", true, 10); // the master itself
    keeper_replicas_heard(&replicas, redis_node(0), &info, 3 * MS);
    assert_string_equal(replicas.unknown, "a:1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(how_far_a_replica_is),
        UNIT_TEST(one_that_was_there_is_missed_later),
        UNIT_TEST(one_that_is_listed_twice_is_not_there),
        UNIT_TEST(without_heartbeats_nobody_is_missing),
        UNIT_TEST(what_counts_is_when_the_master_was_asked),
        UNIT_TEST(another_master_begins_anew),
        UNIT_TEST(strangers_are_named),
    };
    redis_setup(&config);
    return UNIT_RUN(tests);
}
