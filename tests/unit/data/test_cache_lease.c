// Whether a value may be used: epochs, heartbeats, modes.
// wrap: redis_call redis_eval redis_send redis_is_up hold_commit lease_now
// wrap: epoch_known redis_gather loop_turn
#include "cache_unit.h"

#define READS(node, result) \
    "carrito_cache_reads_total{node=\"" node "\",result=\"" result "\"}"

// What one node's answer is worth

enum worth { HIT, MISS, LAPSED };

struct row {
    const char *name;
    enum cache_mode known; // by this process
    const char *value;     // NULL: none
    int64_t epoch;         // the heartbeat's
    enum cache_mode mode;
    int64_t boot_ms, wall_ms; // its age
    bool proven;              // the node is the master that it was sent to
    enum worth worth;
};

#define V7 "V 7 8 u\n{}"
#define R CACHE_REPLICAS
#define M CACHE_MASTER

static const struct row rows[] = {
    {"a value under a fresh heartbeat", R, V7, 7, R, 20, 20, false, HIT},
    {"just now", R, V7, 7, R, 0, 0, false, HIT},
    {"the oldest there may be", R, V7, 7, R, 299, 299, false, HIT},
    {"too old", R, V7, 7, R, 300, 300, false, LAPSED},
    {"too old by the boot clock alone", R, V7, 7, R, 300, 20, false, LAPSED},
    {"too old by the wall clock alone", R, V7, 7, R, 20, 300, false, LAPSED},
    {"of long ago", R, V7, 7, R, 3600000, 3600000, false, LAPSED},
    {"from the future", R, V7, 7, R, -1, -1, false, LAPSED},
    {"from the future by the boot clock alone", R, V7, 7, R, -1, 20, false, LAPSED},
    {"from the future by the wall clock alone", R, V7, 7, R, 20, -1, false, LAPSED},
    {"an older value", R, "V 6 8 u\n{}", 7, R, 20, 20, false, MISS},
    {"a newer value", R, "V 8 8 u\n{}", 7, R, 20, 20, false, MISS},
    {"an older heartbeat", R, V7, 6, R, 20, 20, false, MISS},
    {"a newer heartbeat", R, V7, 8, R, 20, 20, false, MISS},
    {"both newer", R, "V 9 8 u\n{}", 9, R, 20, 20, false, HIT},
    {"both older", R, "V 6 8 u\n{}", 6, R, 20, 20, false, HIT},
    {"another user's value", R, "V 7 8 v\n{}", 7, R, 20, 20, false, MISS},
    {"a value as it was before there were epochs", R, "V 7 u\n{}", 7, R, 20, 20, false,
     MISS},
    {"a token", R, "T 1", 7, R, 20, 20, false, MISS},
    {"a tombstone", R, "X 1", 7, R, 20, 20, false, MISS},
    {"nothing", R, NULL, 7, R, 20, 20, false, MISS},
    {"nothing under an old heartbeat", R, NULL, 7, R, 300, 300, false, LAPSED},
    // The heartbeat's mode counts, whatever is known.
    {"mode off", R, V7, 7, CACHE_OFF, 20, 20, true, LAPSED},
    {"mode master on any node", R, V7, 7, M, 20, 20, false, LAPSED},
    {"mode master with its proof", M, V7, 7, M, 20, 20, true, HIT},
    {"mode master without it", M, V7, 7, M, 20, 20, false, LAPSED},
    {"mode master, its proof, too old", M, V7, 7, M, 300, 300, true, LAPSED},
    {"mode master, its proof, from the future", M, V7, 7, M, -1, -1, true, LAPSED},
    {"mode master, its proof, an older value", M, "V 6 8 u\n{}", 7, M, 20, 20, true,
     MISS},
    {"mode master, its proof, another user", M, "V 7 8 v\n{}", 7, M, 20, 20, true, MISS},
    {"mode replicas where master is known, no proof", M, V7, 7, R, 20, 20, false, HIT},
};

// The node that is asked, alone: in mode master the master, else a replica.
static void ask_alone(const struct row *row)
{
    int node = row->known == M ? MASTER : REPLICA_1;
    for (int i = 0; i < NODES; i++)
        fake.up[i] = i == node;
    fake.epoch.mode = row->known;
    fake.cart.type = REDIS_NIL;
    if (row->value)
        hold_text(row->value, strlen(row->value));
    struct lease_clock now = fake.now;
    fake.now.boot_ns -= row->boot_ms * MS;
    fake.now.wall_ms -= row->wall_ms;
    fake.hb[node] = heartbeat(row->epoch, row->mode, 0);
    fake.now = now;
    fake.proven[node] = row->proven;
}

static long long count(const char *result)
{
    char series[80];
    long long n = 0;
    static const char *const names[] = {"master", "replica-1", "replica-2"};
    for (int i = 0; i < NODES; i++) {
        snprintf(series, sizeof series,
                 "carrito_cache_reads_total{node=\"%s\",result=\"%s\"}", names[i],
                 result);
        n += metrics_unit_value(series);
    }
    return n;
}

static void a_value_counts_only_under_its_lease(void **state)
{
    static const char *const results[] = {"hit", "miss", "lapsed"};
    (void)state;
    for (size_t i = 0; i < LENGTH(rows); i++) {
        const struct row *row = &rows[i];
        struct cache_value untouched = {.version = 4711}, value = untouched;
        struct cache_claim claim;
        long long before[LENGTH(results)];
        for (size_t k = 0; k < LENGTH(results); k++)
            before[k] = count(results[k]);
        ask_alone(row);
        bool hit = cache_read(&work, "u", &value, &claim);
        for (size_t k = 0; k < LENGTH(results); k++)
            if (count(results[k]) - before[k] != (row->worth == k))
                fail_msg("%s: %lld more of %s", row->name, count(results[k]) - before[k],
                         results[k]);
        assert_int_equal(hit, row->worth == HIT);
        assert_int_equal(work.cache, hit ? WORK_CACHE_HIT : WORK_CACHE_MISS);
        if (hit)
            assert_int_equal(value.version, 8);
        else
            assert_memory_equal(&value, &untouched, sizeof value);
        // The same by the audit's question, which counts nothing.
        int node = row->known == M ? MASTER : REPLICA_1;
        value = untouched;
        int64_t hit_epoch = 0;
        assert_int_equal(
            cache_peek(&work, redis_node((size_t)node), "u", &value, &hit_epoch), hit);
        if (hit)
            assert_int_equal(hit_epoch, claim.epoch);
        for (size_t k = 0; k < LENGTH(results); k++)
            assert_int_equal(count(results[k]) - before[k], row->worth == k);
    }
}

// The heartbeat's text, as far as it is none.
static void without_a_heartbeat_nothing_counts(void **state)
{
    static const struct redis_reply others[] = {
        {.type = REDIS_NIL},
        {.type = REDIS_INTEGER, .integer = 7},
        {.type = REDIS_ARRAY},
        {.type = REDIS_STRING, .text = "", .len = 0},
        {.type = REDIS_STRING, .text = "V 7 8 u\n{}", .len = 10},
        {.type = REDIS_STRING, .text = "H 7 replicas", .len = 12},
        {.type = REDIS_STRING, .text = "7", .len = 1},
    };
    (void)state;
    hold_value();
    for (size_t i = 0; i < LENGTH(others); i++) {
        struct cache_value value;
        struct cache_claim claim = {.epoch = 4711};
        long long lapsed = count("lapsed");
        for (int n = 0; n < NODES; n++)
            fake.hb[n] = others[i];
        assert_false(cache_read(&work, "u", &value, &claim));
        assert_int_equal(work.cache, WORK_CACHE_MISS);
        assert_int_equal(claim.epoch, 0);              // and there may be no token
        assert_int_equal(count("lapsed"), lapsed + 2); // a replica and the master
        buf_truncate(&fake.asked, 0);
        answer_integer(1);
        claim.held = true;
        cache_claim_token(&work, "u", &claim);
        assert_false(claim.held);
        check_asked("");
        fake.reply.type = REDIS_NIL;
    }
}

// Which node is asked next

static void a_lapsed_replica_is_followed_by_the_master(void **state)
{
    (void)state;
    struct cache_value value;
    struct cache_claim claim;
    hold_value();
    fake.hb[REPLICA_1] = fake.hb[REPLICA_2] = heartbeat(EPOCH, R, 300);
    long long lapsed = count("lapsed"), hits = metrics_unit_value(READS("master", "hit"));
    assert_true(cache_read(&work, "u", &value, &claim));
    assert_int_equal(value.version, 8);
    assert_string_equal(work.redis_node, "master");
    char *second = strchr(fake.asked.data, '\n') + 1;
    assert_int_equal(strncmp(fake.asked.data, "replica-", 8), 0);
    assert_string_equal(second, "master MGET cart:u HB\n"); // and no other replica
    assert_int_equal(count("lapsed"), lapsed + 1);
    assert_int_equal(metrics_unit_value(READS("master", "hit")), hits + 1);

    // The master's decides, as a miss too.
    fake.cart.type = REDIS_NIL;
    assert_false(cache_read(&work, "u", &value, &claim));
    assert_string_equal(work.redis_node, "master");
    assert_int_equal(claim.epoch, EPOCH);
}

static void a_replica_that_misses_decides(void **state)
{
    (void)state;
    buf_truncate(&fake.asked, 0);
    assert_false(read_cart());
    assert_int_equal(strncmp(fake.asked.data, "replica-", 8), 0);
    assert_null(strstr(fake.asked.data, "master"));
}

static void all_lapsed_is_a_miss(void **state)
{
    (void)state;
    struct cache_value value;
    struct cache_claim claim;
    hold_value();
    for (int i = 0; i < NODES; i++)
        fake.hb[i] = heartbeat(EPOCH + 1, R, 400);
    assert_false(cache_read(&work, "u", &value, &claim));
    assert_int_equal(work.cache, WORK_CACHE_MISS);
    assert_string_equal(work.redis_node, "master");
    // A token is allowed: what is filled counts only once there is a heartbeat again.
    assert_int_equal(claim.epoch, EPOCH + 1);

    // The master is down as well.
    fake.up[MASTER] = false;
    assert_false(cache_read(&work, "u", &value, &claim));
    assert_int_equal(work.cache, WORK_CACHE_MISS);
    assert_int_equal(strncmp(work.redis_node, "replica-", 8), 0);
    fake.up[MASTER] = fake.errs[MASTER] = true;
    assert_false(cache_read(&work, "u", &value, &claim));
    assert_int_equal(work.cache, WORK_CACHE_MISS);
    assert_int_equal(strncmp(work.redis_node, "replica-", 8), 0);
}

static void in_mode_master_only_the_master_is_asked(void **state)
{
    (void)state;
    hold_value();
    beat(EPOCH, M);
    fake.proven[MASTER] = true;
    for (int i = 0; i < 10; i++) {
        assert_true(read_cart());
        assert_string_equal(work.redis_node, "master");
        check_asked("master proof cart:u HB\n");
    }
    fake.up[MASTER] = false;
    work.redis_node = NULL;
    assert_false(read_cart());
    assert_int_equal(work.cache, WORK_CACHE_BYPASS);
    assert_null(work.redis_node);
    check_asked("");
    fake.up[MASTER] = fake.errs[MASTER] = true;
    assert_false(read_cart());
    assert_int_equal(work.cache, WORK_CACHE_BYPASS);
    check_asked("master proof cart:u HB\n");

    // Whichever that is.
    redis_set_master(redis_node(REPLICA_2));
    fake.proven[REPLICA_2] = true;
    assert_true(read_cart());
    assert_string_equal(work.redis_node, "replica-2");
    check_asked("replica-2 proof cart:u HB\n");
}

// A hit reads no epoch from PostgreSQL: that there is a new one, and in which mode, the
// heartbeats tell first.
static void a_newer_heartbeat_tells_whom_to_ask(void **state)
{
    (void)state;
    hold_text("V 1000001 8 u\n{}", 16);
    beat(KNOWN + 1, M);
    fake.epoch.mode = R;
    fake.proven[MASTER] = true;
    assert_true(read_cart()); // by way of a replica, whose answer is none
    assert_int_equal(strncmp(fake.asked.data, "replica-", 8), 0);
    assert_string_equal(strchr(fake.asked.data, '\n') + 1, "master proof cart:u HB\n");
    buf_truncate(&fake.asked, 0);
    assert_true(read_cart());
    check_asked("master proof cart:u HB\n");
    // An older one, from a node that is behind, changes nothing.
    fake.hb[MASTER] = heartbeat(KNOWN, R, 20);
    assert_false(read_cart());
    check_asked("master proof cart:u HB\n");

    // And back.
    hold_text("V 1000002 8 u\n{}", 16);
    beat(KNOWN + 2, R);
    fake.epoch.mode = M;
    assert_true(read_cart());
    check_asked("master proof cart:u HB\n");
    assert_true(read_cart());
    assert_int_equal(strncmp(work.redis_node, "replica-", 8), 0);

    // What PostgreSQL has told since counts more.
    fake.epoch.number = KNOWN + 3;
    assert_true(read_cart());
    assert_string_equal(work.redis_node, "master");
    fake.epoch.mode = CACHE_OFF;
    buf_truncate(&fake.asked, 0);
    assert_false(read_cart());
    check_asked("");
}

// Where the master is another one, that is for PostgreSQL to tell: until then it is a
// miss, and so PostgreSQL is asked.
static void a_new_master_is_not_heard_of(void **state)
{
    (void)state;
    hold_text("V 1000010 8 u\n{}", 16);
    beat(KNOWN + 10, M);
    fake.epoch.mode = R;
    fake.proven[REPLICA_1] = true;
    for (int i = 0; i < 3; i++) {
        assert_false(read_cart());
        assert_int_equal(work.cache, WORK_CACHE_MISS);
    }
    redis_set_master(redis_node(REPLICA_1));
    fake.epoch.mode = M;
    fake.epoch.number = KNOWN + 10;
    assert_true(read_cart());
    assert_string_equal(work.redis_node, "replica-1");
}

static void in_mode_off_nobody_is_asked(void **state)
{
    (void)state;
    struct cache_value value;
    struct cache_claim claim = {.epoch = 4711};
    long long bypassed = metrics_unit_value("carrito_cache_bypass_total");
    hold_value();
    fake.epoch.mode = CACHE_OFF;
    assert_false(cache_read(&work, "u", &value, &claim));
    assert_int_equal(work.cache, WORK_CACHE_BYPASS);
    assert_int_equal(claim.epoch, 0);
    check_asked("");
    assert_int_equal(metrics_unit_value("carrito_cache_bypass_total"), bypassed + 1);
    // But before this process has read any epoch, it asks.
    fake.epoch.number = 0;
    assert_true(cache_read(&work, "u", &value, &claim));
}

// The clock

// A heartbeat that arrived between the question and its answer is younger than the
// question: under load that happens often.
static void a_heartbeat_that_came_while_the_node_was_asked_is_fresh(void **state)
{
    (void)state;
    hold_value();
    fake.takes_ms = 10;
    for (int i = 0; i < NODES; i++)
        fake.hb[i] = heartbeat(EPOCH, R, -5);
    assert_true(read_cart());
    assert_int_equal(strncmp(work.redis_node, "replica-", 8), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CACHE_TEST(a_value_counts_only_under_its_lease),
        CACHE_TEST(without_a_heartbeat_nothing_counts),
        CACHE_TEST(a_lapsed_replica_is_followed_by_the_master),
        CACHE_TEST(a_replica_that_misses_decides),
        CACHE_TEST(all_lapsed_is_a_miss),
        CACHE_TEST(in_mode_master_only_the_master_is_asked),
        CACHE_TEST(in_mode_off_nobody_is_asked),
        CACHE_TEST(a_heartbeat_that_came_while_the_node_was_asked_is_fresh),
        // Last, as what was heard is not forgotten.
        CACHE_TEST(a_newer_heartbeat_tells_whom_to_ask),
        CACHE_TEST(a_new_master_is_not_heard_of),
    };
    cache_unit_begin();
    return UNIT_RUN(tests);
}
