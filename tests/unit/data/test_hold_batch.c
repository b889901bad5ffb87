// Several writers at once: batches of tombstones, and who turns the cache off.
// wrap: pg_acquire pg_release pg_add pg_trip pg_abandon pg_was_sent pg_chore
// wrap: pg_ok pg_count pg_is_null pg_get pg_get_len pg_get_int pg_get_bool
// wrap: clock_mono_ns co_wait redis_is_up redis_eval redis_ask redis_ask_eval
// wrap: redis_answer nonce_put
#include "hold_unit.h"

#define REST_OF_BATCH "info(0* replication) wait(0* 2 100) info(0* replication)"

#define BATCH_MAX 32
#define TRIES_MAX 4

// Writers of carts c0, c1 ...
static struct writer crowd[2 * BATCH_MAX + 10];

static struct writer *start(void *mem, size_t i, const struct epoch *read)
{
    crowd[i] = writer_of(mem, read, mem_printf(mem, "c%zu", i));
    co_start(write_cart, &crowd[i]);
    return &crowd[i];
}

static void finish_all(size_t n)
{
    for (size_t i = 0; i < n; i++)
        finish(&crowd[i]);
}

// Gathering

HOLD_TEST(writers_of_one_turn_share_a_script)
{
    start(mem, 0, &epoch);
    start(mem, 1, &epoch);
    finish_all(2);
    check_steps("batch(0* c0=X1 c1=X2 8bf3) " REST_OF_BATCH);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(crowd[i].err.code, ERR_NONE);
        assert_true(crowd[i].set);
        assert_int_equal(crowd[i].took_ns, 0);
    }
}

// One batch is on its way at a time; what comes meanwhile goes with the next.
HOLD_TEST(the_next_batch_gathers_meanwhile)
{
    fake.takes_ms = 5;
    start(mem, 0, &epoch);
    settle();
    check_steps("batch(0* c0=X1 8bf3) " REST_OF_BATCH);
    start(mem, 1, &epoch);
    settle();
    pass_time();
    start(mem, 2, &epoch);
    settle();
    check_steps("");
    finish(&crowd[0]);
    assert_false(crowd[1].done);
    check_steps("batch(0* c1=X2 c2=X3 8bf3) " REST_OF_BATCH);
    finish_all(3);
    assert_int_equal(crowd[0].took_ns, 20 * MS);
    assert_int_equal(crowd[1].took_ns, 40 * MS);
    assert_int_equal(crowd[2].took_ns, 35 * MS);
    assert_int_equal(crowd[2].work.redis_ns, 35 * MS);
    // And after that a new one begins at once.
    start(mem, 0, &epoch);
    finish_all(1);
    check_steps("batch(0* c0=X4 8bf3) " REST_OF_BATCH);
    assert_int_equal(crowd[0].took_ns, 20 * MS);
}

HOLD_TEST(a_batch_has_room_for_32)
{
    static const size_t counts[] = {31, 32, 33, 64, 65, 70};
    for (size_t k = 0; k < LENGTH(counts); k++) {
        fake_reset(mem);
        for (size_t i = 0; i < counts[k]; i++)
            start(mem, i, &epoch);
        finish_all(counts[k]);
        struct buf expected;
        buf_init(&expected, mem, 1024);
        for (size_t i = 0; i < counts[k]; i++) {
            if (i % BATCH_MAX == 0)
                buf_printf(&expected, "%sbatch(0*", i ? " " : "");
            buf_printf(&expected, " c%zu=X%zu", i, i + 1);
            if (i % BATCH_MAX == BATCH_MAX - 1 || i == counts[k] - 1)
                buf_add_str(&expected, " 8bf3) " REST_OF_BATCH);
            assert_int_equal(crowd[i].err.code, ERR_NONE);
            assert_true(crowd[i].set);
            assert_int_equal(crowd[i].took_ns, 0);
        }
        check_steps(expected.data);
    }
}

HOLD_TEST(all_of_a_batch_share_its_fate)
{
    fake.takes_ms = 2;
    fake.after = GOOD_BEFORE; // nobody has them
    for (size_t i = 0; i < 3; i++)
        start(mem, i, &epoch);
    finish_all(3);
    check_steps("batch(0* c0=X1 c1=X2 c2=X3 8bf3) " REST_OF_BATCH);
    for (size_t i = 0; i < 3; i++) {
        assert_true(crowd[i].set);
        assert_int_equal(crowd[i].took_ns, 2 * MS + HOLD_NS);
    }

    // Each tries by itself what failed for all.
    fake_reset(mem);
    fake.conns[MASTER][1].set = SET_REFUSED;
    for (size_t i = 0; i < 3; i++)
        start(mem, i, &epoch);
    finish_all(3);
    check_steps("batch(0* c0=X1 c1=X2 c2=X3 8bf3) " REST_OF_BATCH
                " set(0 c0=X4 8bf3) set(0 c1=X5 8bf3) set(0 c2=X6 8bf3)");
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(crowd[i].err.code, ERR_NONE);
        assert_true(crowd[i].set);
        assert_int_equal(crowd[i].took_ns, HOLD_NS);
    }
}

// The result of one batch is nobody else's.
HOLD_TEST(each_batch_has_a_proof_of_its_own)
{
    fake.takes_ms = 5;
    start(mem, 0, &epoch);
    settle();
    start(mem, 1, &epoch);
    settle();
    finish(&crowd[0]);
    assert_int_equal(crowd[0].took_ns, 20 * MS);
    fake.after = GOOD_BEFORE;
    finish_all(2);
    assert_int_equal(crowd[1].took_ns, 20 * MS + 5 * MS + HOLD_NS);
}

// Tombstones under different epochs may belong to different masters.
HOLD_TEST(epochs_are_not_mixed)
{
    fake.takes_ms = 5;
    struct epoch next = epoch_at(epoch.number + 1, CACHE_REPLICAS, ADDR_1, "abcdef");
    start(mem, 0, &epoch);
    settle();
    check_steps("batch(0* c0=X1 8bf3) " REST_OF_BATCH);
    start(mem, 1, &epoch);
    settle();
    start(mem, 2, &next); // by itself, and so by rule (b)
    settle();
    check_steps("set(1 c2=X3 abcd)");
    start(mem, 3, &epoch);
    finish_all(4);
    check_steps("batch(0* c1=X2 c3=X4 8bf3) " REST_OF_BATCH);
    assert_int_equal(crowd[1].took_ns, 40 * MS);
    assert_int_equal(crowd[2].took_ns, 5 * MS + HOLD_NS);

    // While the first batch is on its way, one of another epoch may gather.
    fake_reset(mem);
    next.number = epoch.number + 1;
    fake.takes_ms = 5;
    start(mem, 0, &epoch);
    settle();
    buf_truncate(&fake_trace, 0);
    start(mem, 1, &next);
    settle();
    check_steps("");
    fake.before = INFO_HEAD("abcdef") OFFSET(7);
    fake.after = INFO_HEAD("abcdef") OFFSET(7) LISTED(0, "10.0.0.1", "6390", "online", 7)
        LISTED(1, "10.0.0.3", "6392", "online", 7);
    finish_all(2);
    check_steps("batch(1* c1=X2 abcd) info(1* replication) wait(1* 2 100) "
                "info(1* replication)");
    assert_int_equal(crowd[0].took_ns, 5 * MS + HOLD_NS); // it read the other one's INFO
    assert_int_equal(crowd[1].took_ns, 40 * MS);
}

// In mode master nobody waits for anybody.
HOLD_TEST(in_mode_master_each_goes_by_itself)
{
    epoch = epoch_at(epoch.number + 1, CACHE_MASTER, ADDR_0, REPLID);
    learn(&epoch);
    fake_now += HOLD_NS;
    fake.takes_ms = 4;
    for (size_t i = 0; i < 3; i++)
        start(mem, i, &epoch);
    finish_all(3);
    check_steps("set(0 c0=X1 8bf3) set(0 c1=X2 8bf3) set(0 c2=X3 8bf3)");
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(crowd[i].took_ns, 4 * MS);
}

// Without replicas there is nobody to ask.
HOLD_TEST(a_master_without_replicas_is_asked_for_no_proof)
{
    config.n_redis_replicas = 0;
    redis_setup(&config);
    start(mem, 0, &epoch);
    finish_all(1);
    config.n_redis_replicas = 2;
    redis_setup(&config);
    check_steps("set(0 c0=X1 8bf3)");
    assert_int_equal(crowd[0].took_ns, HOLD_NS);
}

// Turning the cache off

static void fail_all_sets(void)
{
    for (int i = 0; i < NODES; i++)
        fake.conns[i][0].set = fake.conns[i][1].set = SET_REFUSED;
}

static void lose_time(void)
{
    pause_ms(10);
}

HOLD_TEST(of_many_that_fail_one_moves_the_epoch)
{
    fail_all_sets();
    fake_pause = lose_time; // in the trip
    for (size_t i = 0; i < 4; i++)
        start(mem, i, &epoch);
    finish_all(4);
    assert_int_equal(db.number, epoch.number + 1);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(crowd[i].err.code, ERR_NONE);
        assert_false(crowd[i].set);
        assert_int_equal(crowd[i].took_ns, 10 * MS + HOLD_NS);
    }
    char *once = strstr(fake_trace.data, "epoch_move commit");
    assert_non_null(once);
    assert_null(strstr(once + 1, "epoch_move commit"));
}

HOLD_TEST(who_cannot_wait_to_turn_it_off_gives_up)
{
    fail_all_sets();
    fake_pause = lose_time;
    start(mem, 0, &epoch);
    settle();
    start(mem, 1, &epoch);
    crowd[1].work.deadline = fake_now + 3 * MS + HOLD_NS + 50 * MS;
    finish_all(2);
    assert_int_equal(crowd[0].err.code, ERR_NONE);
    assert_int_equal(crowd[1].err.code, ERR_OVERLOADED);
    assert_false(crowd[1].set);
    assert_int_equal(crowd[1].took_ns, 3 * MS);
}

// This process has read a newer epoch since: the master was another one meanwhile.
HOLD_TEST(what_this_process_knows_by_now_is_followed)
{
    struct epoch newer = epoch_at(epoch.number + 1, CACHE_MASTER, ADDR_1, "abcdef");
    learn(&newer);
    fake_now += 100 * MS;
    fake.conns[MASTER][0].up = fake.conns[MASTER][1].up = false;
    start(mem, 0, &epoch);
    finish_all(1);
    check_steps("set(0 c0=X2 8bf3) set(1 c0=X3 abcd)");
    assert_int_equal(crowd[0].err.code, ERR_NONE);
    assert_true(crowd[0].set);
    assert_int_equal(crowd[0].took_ns, HOLD_NS - 100 * MS); // by the newer one's age
    assert_int_equal(db.number, epoch.number);
}

// Somebody else has moved it, and this process learns it only now.
HOLD_TEST(what_somebody_else_moved_to_is_followed)
{
    fake.conns[MASTER][0].up = fake.conns[MASTER][1].up = false;
    db = epoch_at(epoch.number + 1, CACHE_MASTER, ADDR_1, "abcdef");
    start(mem, 0, &epoch);
    finish_all(1);
    check_steps("set(0 c0=X2 8bf3) " MOVE_TRIP " "
                "set(1 c0=X3 abcd)");
    assert_true(crowd[0].set);
    assert_int_equal(crowd[0].took_ns, HOLD_NS);
    assert_int_equal(db.number, epoch.number + 1);
    assert_int_equal(db.mode, CACHE_MASTER); // and not turned off

    // To replicas of another master: by that one's rules.
    fake_reset(mem);
    fake.conns[MASTER][0].up = fake.conns[MASTER][1].up = false;
    db = epoch_at(epoch.number + 1, CACHE_REPLICAS, ADDR_1, "abcdef");
    fake.before = INFO_HEAD("abcdef") OFFSET(7);
    fake.after = INFO_HEAD("abcdef") OFFSET(7) LISTED(0, "10.0.0.1", "6390", "online", 7)
        LISTED(1, "10.0.0.3", "6392", "online", 7);
    start(mem, 0, &epoch);
    finish_all(1);
    check_steps("set(0 c0=X2 8bf3) " MOVE_TRIP " "
                "batch(1* c0=X3 abcd) info(1* replication) wait(1* 2 100) "
                "info(1* replication)");
    assert_true(crowd[0].set);
    assert_int_equal(crowd[0].took_ns, 0);

    // To off.
    fake_reset(mem);
    fail_all_sets();
    db = epoch_at(epoch.number + 1, CACHE_OFF, ADDR_0, REPLID);
    start(mem, 0, &epoch);
    finish_all(1);
    assert_int_equal(crowd[0].err.code, ERR_NONE);
    assert_false(crowd[0].set);
    assert_int_equal(crowd[0].took_ns, HOLD_NS);
    assert_int_equal(db.number, epoch.number + 1);

    // To a master that fails, too: that one is turned off.
    fake_reset(mem);
    fail_all_sets();
    db = epoch_at(epoch.number + 1, CACHE_MASTER, ADDR_1, "abcdef");
    start(mem, 0, &epoch);
    finish_all(1);
    assert_int_equal(crowd[0].err.code, ERR_NONE);
    assert_false(crowd[0].set);
    assert_int_equal(db.number, epoch.number + 2);
    assert_int_equal(db.mode, CACHE_OFF);
    char line[80];
    snprintf(line, sizeof line, "epoch_move|%lld|off|" ADDR_1 "|abcdef",
             (long long)epoch.number + 1);
    check_sent(line);
}

// The keeper, which is always a step ahead.
static void move_on(void)
{
    db.number += 5;
    db.mode = CACHE_REPLICAS;
}

HOLD_TEST(a_write_meets_four_epochs_at_most)
{
    fail_all_sets();
    fake_pause = move_on;
    start(mem, 0, &epoch);
    finish_all(1);
    assert_int_equal(crowd[0].err.code, ERR_OVERLOADED);
    assert_false(crowd[0].set);
    assert_int_equal(fake_trips, TRIES_MAX);
    assert_int_equal(db.number, epoch.number + 5 * TRIES_MAX);
}

HOLD_TEST(without_database_and_redis_nothing_is_committed)
{
    static const enum err_code codes[] = {ERR_DATABASE_UNAVAILABLE, ERR_OVERLOADED};
    for (size_t i = 0; i < LENGTH(codes) * 2; i++) {
        fake_reset(mem);
        fail_all_sets();
        if (i % 2)
            fake_acquire_err = err_make(codes[i / 2], NULL, "no connection");
        else
            fake_faults[0] = (struct pg_fake_fault){codes[i / 2], 0, FAKE_LOST};
        start(mem, 0, &epoch);
        finish_all(1);
        assert_int_equal(crowd[0].err.code, codes[i / 2]);
        assert_false(crowd[0].set);
        // The next one may try again.
        fake_acquire_err = err_ok();
        start(mem, 1, &epoch);
        finish(&crowd[1]);
        assert_int_equal(crowd[1].err.code, ERR_NONE);
        assert_int_equal(db.mode, CACHE_OFF);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HOLD_CASE(writers_of_one_turn_share_a_script),
        HOLD_CASE(the_next_batch_gathers_meanwhile),
        HOLD_CASE(a_batch_has_room_for_32),
        HOLD_CASE(all_of_a_batch_share_its_fate),
        HOLD_CASE(each_batch_has_a_proof_of_its_own),
        HOLD_CASE(epochs_are_not_mixed),
        HOLD_CASE(in_mode_master_each_goes_by_itself),
        HOLD_CASE(a_master_without_replicas_is_asked_for_no_proof),
        HOLD_CASE(of_many_that_fail_one_moves_the_epoch),
        HOLD_CASE(who_cannot_wait_to_turn_it_off_gives_up),
        HOLD_CASE(what_this_process_knows_by_now_is_followed),
        HOLD_CASE(what_somebody_else_moved_to_is_followed),
        HOLD_CASE(a_write_meets_four_epochs_at_most),
        HOLD_CASE(without_database_and_redis_nothing_is_committed),
    };
    hold_unit_begin();
    return UNIT_RUN(tests);
}
