// wrap: pg_acquire pg_release pg_add pg_trip pg_abandon pg_was_sent pg_chore
// wrap: pg_ok pg_count pg_is_null pg_get pg_get_len pg_get_int pg_get_bool
// wrap: clock_mono_ns co_wait redis_is_up redis_eval redis_ask redis_ask_eval
// wrap: redis_answer nonce_put
#include "hold_unit.h"

#define BATCH                                                       \
    "batch(0* cart:u=X1 8bf3) info(0* replication) wait(0* 2 100) " \
    "info(0* replication)"

// How long what is left for COMMIT itself is.
#define COMMIT_MS 50

// Rule (a)

HOLD_TEST(acknowledged_by_all_it_may_be_sent_at_once)
{
    long long by = metrics_unit_value(HOLDS("acknowledgement"));
    struct writer w = write_alone(mem, &epoch);
    assert_int_equal(w.err.code, ERR_NONE);
    assert_true(w.set);
    assert_string_equal(w.tombstone, "X1");
    assert_int_equal(w.took_ns, 0);
    check_steps(BATCH);
    assert_string_equal(w.work.redis_node, "master");
    assert_int_equal(metrics_unit_value(HOLDS("acknowledgement")), by + 1);
    assert_int_equal(metrics_unit_value("carrito_hold_seconds_count") > 0, 1);
}

HOLD_TEST(it_takes_as_long_as_the_answers_do)
{
    fake.takes_ms = 7;
    struct writer w = write_alone(mem, &epoch);
    assert_int_equal(w.err.code, ERR_NONE);
    assert_int_equal(w.took_ns, 4 * 7 * MS);
    assert_int_equal(w.work.redis_ns, w.took_ns);
}

HOLD_TEST(the_node_that_was_read_stays_named)
{
    struct writer w = writer_of(mem, &epoch, "cart:u");
    w.work.redis_node = "replica-2";
    co_start(write_cart, &w);
    finish(&w);
    assert_string_equal(w.work.redis_node, "replica-2");
}

// With another master its place in the configuration is the same, its role is not.
HOLD_TEST(the_master_is_the_one_that_the_epoch_names)
{
    epoch = epoch_at(numbers + 1, CACHE_REPLICAS, ADDR_2, "abcdef");
    learn(&epoch);
    fake.before = INFO_HEAD("abcdef") OFFSET(5);
    fake.after = INFO_HEAD("abcdef") OFFSET(5) LISTED(0, "10.0.0.2", "6391", "online", 5)
        LISTED(1, "10.0.0.1", "6390", "online", 5);
    struct writer w = write_alone(mem, &epoch);
    assert_int_equal(w.took_ns, 0);
    assert_string_equal(w.work.redis_node, "replica-2");
    check_steps("batch(2* cart:u=X1 abcd) info(2* replication) wait(2* 2 100) "
                "info(2* replication)");
}

// Rule (b): whatever is missing from the proof, the tombstone is set, and a lease later
// no node can have one that was given before.

static const struct {
    const char *name, *before, *after;
} unproven[] = {
#define LISTED_1 LISTED(0, "10.0.0.2", "6391", "online", 1000)
#define LISTED_2 LISTED(1, "10.0.0.3", "6392", "online", 1000)
#define HEAD INFO_HEAD(REPLID) OFFSET(1040)
    {"nobody listens", GOOD_BEFORE, HEAD},
    {"one is missing", GOOD_BEFORE, HEAD LISTED_2},
    {"another stands in, and WAIT is content", GOOD_BEFORE,
     HEAD LISTED_1 LISTED(1, "10.0.0.9", "6392", "online", 1000)},
    {"one too many", GOOD_BEFORE,
     HEAD LISTED_1 LISTED_2 LISTED(2, "10.0.0.9", "6399", "online", 1000)},
    {"one too many, that waits for its copy", GOOD_BEFORE,
     HEAD LISTED_1 LISTED_2 LISTED(2, "10.0.0.9", "6399", "wait_bgsave", 0)},
    {"one twice", GOOD_BEFORE,
     HEAD LISTED_1 LISTED_2 LISTED(2, "10.0.0.3", "6392", "online", 1000)},
    {"one under another name", GOOD_BEFORE,
     HEAD LISTED_1 LISTED(1, "replica-2", "6392", "online", 1000)},
    {"one is not online", GOOD_BEFORE,
     HEAD LISTED_1 LISTED(1, "10.0.0.3", "6392", "send_bulk", 1000)},
    {"one is a byte short", GOOD_BEFORE,
     HEAD LISTED_1 LISTED(1, "10.0.0.3", "6392", "online", 999)},
    {"both had it before the tombstone, not after", GOOD_BEFORE, GOOD_BEFORE},
    {"another stream behind it", GOOD_BEFORE,
     INFO_HEAD("abcdef") OFFSET(1040) LISTED_1 LISTED_2},
    {"another stream before it", INFO_HEAD("abcdef") OFFSET(1) LISTED_1 LISTED_2,
     GOOD_AFTER},
    {"no master any more", GOOD_BEFORE,
     "role:slave\r\nmaster_replid:" REPLID "\r\n" OFFSET(1040) LISTED_1 LISTED_2},
    {"no such answer before", "# Replication\r\n", GOOD_AFTER},
    {"no such answer after", GOOD_BEFORE, "# Replication\r\n"},
    {"an error before", NULL, GOOD_AFTER},
    {"an error after", GOOD_BEFORE, NULL},
};

HOLD_TEST(without_proof_it_waits_a_lease)
{
    for (size_t i = 0; i < LENGTH(unproven); i++) {
        long long by = metrics_unit_value(HOLDS("lease"));
        fake_reset(mem);
        fake.before = unproven[i].before;
        fake.after = unproven[i].after;
        struct writer w = write_alone(mem, &epoch);
        if (w.took_ns != HOLD_NS)
            fail_msg("%s: %lld ns", unproven[i].name, (long long)w.took_ns);
        assert_int_equal(w.err.code, ERR_NONE);
        assert_true(w.set);
        assert_int_equal(w.work.redis_ns, w.took_ns);
        check_steps(BATCH);
        assert_int_equal(metrics_unit_value(HOLDS("lease")), by + 1);
    }
}

// Its time counts from when the master said that the tombstone stands: no sooner, as it
// may have been set only just before, and no later.
HOLD_TEST(a_lease_counts_from_the_tombstones_answer)
{
    fake.takes_ms = 9;
    fake.after = HEAD;
    struct writer w = write_alone(mem, &epoch);
    assert_int_equal(w.took_ns, 9 * MS + HOLD_NS);
    assert_int_equal(w.work.redis_ns, w.took_ns);
}

HOLD_TEST(wait_counts_for_nothing_but_must_answer)
{
    fake.wait_refused = true;
    struct writer w = write_alone(mem, &epoch);
    assert_int_equal(w.took_ns, HOLD_NS);
    check_steps(BATCH);

    fake_reset(mem);
    fake.wait_late = true;
    w = write_alone(mem, &epoch);
    assert_int_equal(w.err.code, ERR_NONE);
    assert_true(w.set);
    assert_int_equal(w.took_ns, HOLD_NS); // the waiting for WAIT is part of it
    check_steps(BATCH);
}

HOLD_TEST(what_answers_late_proves_nothing)
{
    fake.before_late = true;
    struct writer w = write_alone(mem, &epoch);
    assert_int_equal(w.took_ns, HOLD_NS);
    fake_reset(mem);
    fake.after_late = true;
    w = write_alone(mem, &epoch);
    assert_int_equal(w.err.code, ERR_NONE);
    assert_true(w.set);
    assert_int_equal(w.took_ns, HOLD_NS);
}

// The tombstone, tried twice

HOLD_TEST(a_tombstone_that_failed_is_set_on_the_other_connection)
{
    static const enum set ways[] = {SET_ELSEWHERE, SET_ODD, SET_REFUSED, SET_UNKNOWN};
    for (size_t i = 0; i < LENGTH(ways); i++) {
        fake_reset(mem);
        fake.conns[MASTER][1].set = ways[i];
        struct writer w = write_alone(mem, &epoch);
        assert_int_equal(w.err.code, ERR_NONE);
        assert_true(w.set);
        assert_int_equal(w.took_ns, HOLD_NS); // who has it was not asked there
        // One that arrives late must not look like the one that was relied on.
        check_steps(BATCH " set(0 cart:u=X2 8bf3)");
        assert_string_equal(w.tombstone, "X2");
    }
    fake_reset(mem);
    fake.conns[MASTER][1].up = false;
    struct writer w = write_alone(mem, &epoch);
    assert_int_equal(w.took_ns, HOLD_NS);
    check_steps("set(0 cart:u=X2 8bf3)");

    fake_reset(mem);
    fake.conns[MASTER][1].set = SET_LATE;
    fake.takes_ms = 3;
    w = write_alone(mem, &epoch);
    assert_int_equal(w.took_ns, (50 + 3) * MS + HOLD_NS);
    check_steps(BATCH " set(0 cart:u=X2 8bf3)");
}

HOLD_TEST(a_script_that_was_forgotten_costs_one_lease)
{
    fake.conns[MASTER][0].set = fake.conns[MASTER][1].set = SET_UNKNOWN;
    struct writer w = write_alone(mem, &epoch);
    assert_int_equal(w.err.code, ERR_NONE);
    assert_int_equal(w.took_ns, HOLD_NS);
    assert_int_equal(db.number, epoch.number);
}

// Nothing is known of both: the epoch moves, and with it the writer waits until no hit
// can come from anywhere.
HOLD_TEST(what_cannot_be_set_turns_the_cache_off)
{
    static const enum set ways[] = {SET_ELSEWHERE, SET_ODD, SET_REFUSED, SET_LATE};
    for (size_t i = 0; i < LENGTH(ways); i++) {
        fake_reset(mem);
        long long by = metrics_unit_value(HOLDS("epoch"));
        fake.conns[MASTER][0].set = fake.conns[MASTER][1].set = ways[i];
        struct writer w = write_alone(mem, &epoch);
        assert_int_equal(w.err.code, ERR_NONE);
        assert_false(w.set);
        assert_null(w.work.redis_node);
        assert_int_equal(w.took_ns, (ways[i] == SET_LATE ? 2 * 50 * MS : 0) + HOLD_NS);
        check_steps(BATCH " set(0 cart:u=X2 8bf3) " MOVE_TRIP);
        char line[100];
        snprintf(line, sizeof line, "epoch_move|%lld|off|" ADDR_0 "|" REPLID,
                 (long long)epoch.number);
        check_sent(line);
        assert_int_equal(db.mode, CACHE_OFF);
        assert_int_equal(epoch_known()->number, epoch.number + 1);
        assert_int_equal(metrics_unit_value(HOLDS("epoch")), by + 1);
    }
}

HOLD_TEST(without_redis_a_write_still_goes_through)
{
    for (int i = 0; i < NODES; i++)
        fake.conns[i][0].up = fake.conns[i][1].up = false;
    struct writer w = write_alone(mem, &epoch);
    assert_int_equal(w.err.code, ERR_NONE);
    assert_int_equal(w.took_ns, HOLD_NS);
    check_steps("set(0 cart:u=X2 8bf3) " MOVE_TRIP);
    // And once it is off, at once.
    w = write_alone(mem, &db);
    assert_int_equal(w.err.code, ERR_NONE);
    assert_int_equal(w.took_ns, 0);
    check_steps("");
}

HOLD_TEST(a_master_that_is_not_configured_cannot_be_told)
{
    epoch = db = epoch_at(numbers + 1, CACHE_REPLICAS, "10.0.0.9:6390", REPLID);
    learn(&epoch);
    struct writer w = write_alone(mem, &epoch);
    assert_int_equal(w.err.code, ERR_NONE);
    assert_int_equal(w.took_ns, HOLD_NS);
    check_steps(MOVE_TRIP);
}

// Other processes may use the cache, so that it is not enough to leave it alone.
HOLD_TEST(without_a_cache_of_ones_own_it_is_turned_off_for_all)
{
    config.cache = false;
    struct writer w = write_alone(mem, &epoch);
    assert_int_equal(w.err.code, ERR_NONE);
    assert_false(w.set);
    assert_int_equal(w.took_ns, HOLD_NS);
    check_steps(MOVE_TRIP);
    assert_int_equal(db.mode, CACHE_OFF);
}

// Rule (c)

HOLD_TEST(in_mode_master_the_age_of_the_epoch_counts)
{
    // as long ago as this, and so long it waits
    static const int64_t ages[][2] = {
        {0, HOLD_NS}, {1, HOLD_NS - 1}, {100 * MS, HOLD_NS - 100 * MS}, {HOLD_NS - 1, 1},
        {HOLD_NS, 0}, {HOLD_NS + 1, 0}, {3600 * 1000 * MS, 0},
    };
    for (size_t i = 0; i < LENGTH(ages); i++) {
        fake_reset(mem);
        epoch.number++;
        epoch.mode = CACHE_MASTER;
        learn(&epoch);
        fake_now += ages[i][0];
        struct writer w = write_alone(mem, &epoch);
        assert_int_equal(w.err.code, ERR_NONE);
        assert_true(w.set);
        assert_int_equal(w.took_ns, ages[i][1]);
        check_steps("set(0 cart:u=X1 8bf3)"); // nobody is waited for, no replica counts
        assert_string_equal(w.work.redis_node, "master");
    }
}

HOLD_TEST(in_mode_off_redis_is_not_asked)
{
    static const int64_t ages[][2] = {{0, HOLD_NS}, {HOLD_NS - 5, 5}, {HOLD_NS, 0}};
    for (size_t i = 0; i < LENGTH(ages); i++) {
        fake_reset(mem);
        epoch.number++;
        epoch.mode = CACHE_OFF;
        learn(&epoch);
        fake_now += ages[i][0];
        struct writer w = write_alone(mem, &epoch);
        assert_int_equal(w.err.code, ERR_NONE);
        assert_false(w.set);
        assert_int_equal(w.took_ns, ages[i][1]);
        assert_int_equal(w.work.db_ns, w.took_ns); // nothing was asked of Redis
        check_steps("");
        assert_null(w.work.redis_node);
    }
}

// The writer's own epoch counts, even where a newer one has been read since.
HOLD_TEST(an_epoch_that_is_not_remembered_is_waited_for_in_full)
{
    epoch.mode = CACHE_MASTER;
    for (int i = 1; i <= 40; i++) {
        struct epoch newer = epoch_at(epoch.number + i, CACHE_OFF, "", "");
        learn(&newer);
    }
    fake_now += 1000 * MS;
    struct writer w = write_alone(mem, &epoch);
    assert_int_equal(w.err.code, ERR_NONE);
    assert_int_equal(w.took_ns, HOLD_NS);
    epoch.number -= 50; // and so is one that was never read
    w = write_alone(mem, &epoch);
    assert_int_equal(w.took_ns, HOLD_NS);
}

HOLD_TEST(in_mode_master_the_second_connection_is_tried_too)
{
    epoch = db = epoch_at(numbers + 1, CACHE_MASTER, ADDR_1, REPLID);
    learn(&epoch);
    fake_now += HOLD_NS;
    fake.conns[REPLICA_1][0].set = SET_ELSEWHERE;
    struct writer w = write_alone(mem, &epoch);
    assert_int_equal(w.err.code, ERR_NONE);
    assert_true(w.set);
    assert_int_equal(w.took_ns, 0);
    check_steps("set(1 cart:u=X1 8bf3) set(1* cart:u=X2 8bf3)");
    assert_string_equal(w.tombstone, "X2");
    fake.conns[REPLICA_1][1].up = false;
    w = write_alone(mem, &epoch);
    assert_int_equal(w.err.code, ERR_NONE);
    assert_false(w.set);
    assert_int_equal(w.took_ns, HOLD_NS);
    check_steps("set(1 cart:u=X3 8bf3) set(1* cart:u=X4 8bf3) " MOVE_TRIP);
}

// Deadlines

HOLD_TEST(a_hold_that_would_last_too_long_is_not_begun)
{
    // left after the hold, and whether that is enough for COMMIT
    static const struct {
        int64_t left;
        bool enough;
    } rows[] = {{COMMIT_MS * MS, true},
                {COMMIT_MS * MS - 1, false},
                {0, false},
                {-HOLD_NS + MS, false}};
    for (size_t i = 0; i < LENGTH(rows) * 2; i++) {
        fake_reset(mem);
        bool by_lease = i % 2;
        fake.after = HEAD;
        if (!by_lease) {
            epoch = epoch_at(epoch.number + 1, CACHE_MASTER, ADDR_0, REPLID);
            learn(&epoch);
        }
        struct writer w = writer_of(mem, &epoch, "cart:u");
        w.work.deadline = fake_now + HOLD_NS + rows[i / 2].left;
        co_start(write_cart, &w);
        finish(&w);
        assert_int_equal(w.err.code, rows[i / 2].enough ? ERR_NONE : ERR_OVERLOADED);
        assert_int_equal(w.took_ns, rows[i / 2].enough ? HOLD_NS : 0);
        assert_true(w.set); // it stands: its writer may take it back
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HOLD_CASE(acknowledged_by_all_it_may_be_sent_at_once),
        HOLD_CASE(it_takes_as_long_as_the_answers_do),
        HOLD_CASE(the_node_that_was_read_stays_named),
        HOLD_CASE(the_master_is_the_one_that_the_epoch_names),
        HOLD_CASE(without_proof_it_waits_a_lease),
        HOLD_CASE(a_lease_counts_from_the_tombstones_answer),
        HOLD_CASE(wait_counts_for_nothing_but_must_answer),
        HOLD_CASE(what_answers_late_proves_nothing),
        HOLD_CASE(a_tombstone_that_failed_is_set_on_the_other_connection),
        HOLD_CASE(a_script_that_was_forgotten_costs_one_lease),
        HOLD_CASE(what_cannot_be_set_turns_the_cache_off),
        HOLD_CASE(without_redis_a_write_still_goes_through),
        HOLD_CASE(a_master_that_is_not_configured_cannot_be_told),
        HOLD_CASE(without_a_cache_of_ones_own_it_is_turned_off_for_all),
        HOLD_CASE(in_mode_master_the_age_of_the_epoch_counts),
        HOLD_CASE(in_mode_off_redis_is_not_asked),
        HOLD_CASE(an_epoch_that_is_not_remembered_is_waited_for_in_full),
        HOLD_CASE(in_mode_master_the_second_connection_is_tried_too),
        HOLD_CASE(a_hold_that_would_last_too_long_is_not_begun),
    };
    hold_unit_begin();
    return UNIT_RUN(tests);
}
