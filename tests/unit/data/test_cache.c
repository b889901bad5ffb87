// wrap: redis_call redis_eval redis_send redis_is_up hold_commit lease_now
// wrap: epoch_known redis_gather loop_turn
#include "cache_unit.h"

// Which replica is asked next; this asks the other one, in a turn of its own.
static enum node next_replica(void)
{
    read_cart();
    bool first = strncmp(fake.asked.data, "replica-1", 9) == 0;
    buf_truncate(&fake.asked, 0);
    return first ? REPLICA_2 : REPLICA_1;
}

// What a key may hold

static void a_value_is_a_hit(void **state)
{
    static const struct {
        const char *text, *user_id;
        size_t len;
        int64_t version;
        const char *json;
        size_t json_len;
    } rows[] = {
        {"V 7 7 user123\n{\"a\":1}", "user123", 21, 7, "{\"a\":1}", 7},
        {"V 7 0 u\n{}", "u", 10, 0, "{}", 2},
        {"V 7 9223372036854775807 u\n{}", "u", 28, INT64_MAX, "{}", 2},
        {"V 7 1 u\n{\n\n}\n", "u", 13, 1, "{\n\n}\n", 5},
        {"V 7 1 u\n{\"\0\"}", "u", 13, 1, "{\"\0\"}", 5},
        {"V 7 1 u\nV 7 2 u\n{}", "u", 18, 1, "V 7 2 u\n{}", 10},
    };
    (void)state;
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct cache_value value;
        struct cache_claim claim;
        hold_text(rows[i].text, rows[i].len);
        assert_true(cache_read(&work, rows[i].user_id, &value, &claim));
        assert_int_equal(work.cache, WORK_CACHE_HIT);
        assert_int_equal(value.version, rows[i].version);
        assert_int_equal(value.len, rows[i].json_len);
        assert_memory_equal(value.json, rows[i].json, rows[i].json_len);
    }
}

static void anything_else_is_a_miss(void **state)
{
    static const char *const texts[] = {
        "T 0123456789abcdef0",
        "X 0123456789abcdef0",
        "",
        "V",
        "V ",
        "V 7",
        "V 7 ",
        "V 7 8",
        "V 7 8 ",
        "V 7 8 u",
        "V 7 8\nu",
        "V 7 8\n{}",
        "V 7\n8 u\n{}",
        "V 7 u\n{}",
        "V 7\n{}",
        "V\n7 8 u\n{}",
        "V 7 8 u\n",
        "V 7 8 v\n{}",
        "V 7 8 uu\n{}",
        "V 7 8 U\n{}",
        "V 7 8 \n{}",
        "V 7 8  u\n{}",
        "V 7 8 u \n{}",
        "V 7  8 u\n{}",
        "V  7 8 u\n{}",
        "V 7 x u\n{}",
        "V 7 -1 u\n{}",
        "V 7 +1 u\n{}",
        "V 7 08 u\n{}",
        "V 7 8.0 u\n{}",
        "V 7 9223372036854775808 u\n{}",
        "V 9223372036854775808 8 u\n{}",
        "V x 8 u\n{}",
        "V -7 8 u\n{}",
        "V +7 8 u\n{}",
        "V 07 8 u\n{}",
        "V 7.0 8 u\n{}",
        "V 0 8 u\n{}",
        "V 8 u\n{}",
        "v 7 8 u\n{}",
        "VV 7 8 u\n{}",
        " V 7 8 u\n{}",
        "X 7 8 u\n{}",
        "T 7 8 u\n{}",
        "H 7 8 u\n{}",
        "7 8 u\n{}",
        "{\"user_id\":\"u\"}",
        "\xFF\xFE\n \n",
    };
    (void)state;
    for (size_t i = 0; i < LENGTH(texts); i++) {
        // Nothing may be read behind the end, so no NUL is there.
        size_t len = strlen(texts[i]);
        char *copy = malloc(len + !len);
        assert_non_null(copy);
        memcpy(copy, texts[i], len);
        struct cache_value value = {.version = 4711};
        struct cache_claim claim;
        hold_text(copy, len);
        if (cache_read(&work, "u", &value, &claim))
            fail_msg("a hit: %s", texts[i]);
        assert_int_equal(work.cache, WORK_CACHE_MISS);
        assert_int_equal(value.version, 4711);
        assert_int_equal(claim.epoch, EPOCH);
        free(copy);
    }
    static const struct redis_reply others[] = {
        {.type = REDIS_NIL},
        {.type = REDIS_INTEGER, .integer = 7},
        {.type = REDIS_ARRAY},
    };
    for (size_t i = 0; i < LENGTH(others); i++) {
        fake.cart = others[i];
        assert_false(read_cart());
        assert_int_equal(work.cache, WORK_CACHE_MISS);
    }
}

// Which node is asked

static void replicas_take_turns(void **state)
{
    (void)state;
    hold_value();
    enum node next = next_replica();
    for (int i = 0; i < 10; i++) {
        const char *name = next == REPLICA_1 ? "replica-1" : "replica-2";
        work.redis_node = NULL;
        assert_true(read_cart());
        assert_string_equal(work.redis_node, name);
        assert_int_equal(strncmp(fake.asked.data, name, 9), 0);
        assert_non_null(strstr(fake.asked.data, " MGET cart:u HB\n"));
        buf_truncate(&fake.asked, 0);
        next = next == REPLICA_1 ? REPLICA_2 : REPLICA_1;
    }
}

// So that they are one command.
static void one_turn_s_reads_begin_with_the_same_replica(void **state)
{
    (void)state;
    hold_value();
    for (int turn = 0; turn < 4; turn++) {
        enum node next = next_replica();
        for (int i = 0; i < 3; i++) {
            assert_true(read_cart());
            assert_string_equal(work.redis_node,
                                next == REPLICA_1 ? "replica-1" : "replica-2");
            fake.same_turn = true;
            buf_truncate(&fake.asked, 0);
        }
        fake.same_turn = false;
    }
}

// Every way in which nodes can be down, or up and failing: which are asked, and what of
// it.
static void others_stand_in_for_a_node_that_fails(void **state)
{
    enum { UP, DOWN, ERRS };
    (void)state;
    for (int way = 0; way < 27 * 2; way++) {
        int how[NODES] = {way % 3, way / 3 % 3, way / 9 % 3};
        enum node first = next_replica();
        enum node order[NODES] = {first, first == REPLICA_1 ? REPLICA_2 : REPLICA_1,
                                  MASTER};
        for (int i = 0; i < NODES; i++) {
            fake.up[i] = how[i] != DOWN;
            fake.errs[i] = how[i] == ERRS;
        }
        struct buf expected;
        const char *server = NULL;
        buf_init(&expected, work.mem, 128);
        for (int i = 0; i < NODES && !server; i++) {
            static const char *const names[] = {"master", "replica-1", "replica-2"};
            if (how[order[i]] == DOWN)
                continue;
            buf_printf(&expected, "%s MGET cart:u HB\n", names[order[i]]);
            if (how[order[i]] == UP)
                server = names[order[i]];
        }
        work = (struct work){.mem = work.mem};
        assert_false(read_cart()); // nil
        check_asked(expected.data);
        assert_int_equal(work.cache, server ? WORK_CACHE_MISS : WORK_CACHE_BYPASS);
        if (server)
            assert_string_equal(work.redis_node, server);
        else
            assert_null(work.redis_node);
        for (int i = 0; i < NODES; i++) {
            fake.up[i] = true;
            fake.errs[i] = false;
        }
        if (way == 26) // and once more with the other replica first
            next_replica();
    }
}

static void without_replicas_the_master_serves(void **state)
{
    (void)state;
    config.n_redis_replicas = 0;
    redis_setup(&config);
    hold_value();
    for (int i = 0; i < 200; i++) {
        assert_true(read_cart());
        assert_string_equal(work.redis_node, "master");
        check_asked("master MGET cart:u HB\n"); // and no TOUCH: its LRU saw the read
    }
    config.n_redis_replicas = 2;
    redis_setup(&config);
}

static void one_hit_in_64_is_told_to_the_master(void **state)
{
    (void)state;
    hold_value();
    int since = -1, touches = 0;
    for (int i = 0; i < 64 * 5; i++, since += since >= 0) {
        assert_true(read_cart());
        if (strstr(fake.asked.data, "master send TOUCH cart:u\n")) {
            assert_true(since == -1 || since == 64);
            since = 0;
            touches++;
        }
        buf_truncate(&fake.asked, 0);
    }
    assert_int_equal(touches, 5);
    // Misses count for nothing.
    fake.cart.type = REDIS_NIL;
    for (int i = 0; i < 64 * 5; i++)
        assert_false(read_cart());
    assert_null(strstr(fake.asked.data, "TOUCH"));
}

static void reads_are_counted_by_node_and_result(void **state)
{
    static const char *const hit =
        "carrito_cache_reads_total{node=\"replica-1\",result=\"hit\"}";
    static const char *const miss =
        "carrito_cache_reads_total{node=\"replica-1\",result=\"miss\"}";
    static const char *const error =
        "carrito_cache_reads_total{node=\"replica-1\",result=\"error\"}";
    static const char *const master =
        "carrito_cache_reads_total{node=\"master\",result=\"hit\"}";
    static const char *const bypass = "carrito_cache_bypass_total";
    (void)state;
    long long n[] = {metrics_unit_value(hit), metrics_unit_value(miss),
                     metrics_unit_value(error), metrics_unit_value(master),
                     metrics_unit_value(bypass)};
    fake.up[REPLICA_2] = false;
    hold_value();
    read_cart();
    assert_int_equal(metrics_unit_value(hit), n[0] + 1);
    hold_text("T 1", 3);
    read_cart();
    assert_int_equal(metrics_unit_value(miss), n[1] + 1);
    fake.errs[REPLICA_1] = true;
    hold_value();
    read_cart();
    assert_int_equal(metrics_unit_value(error), n[2] + 1);
    assert_int_equal(metrics_unit_value(master), n[3] + 1);
    fake.up[REPLICA_1] = fake.up[MASTER] = false;
    read_cart();
    assert_int_equal(metrics_unit_value(bypass), n[4] + 1);
    assert_int_equal(metrics_unit_value(hit), n[0] + 1);
    assert_int_equal(metrics_unit_value(miss), n[1] + 1);
    assert_int_equal(metrics_unit_value(error), n[2] + 1);
}

// Plain values

static void a_plain_value_is_any_text(void **state)
{
    (void)state;
    const char *text = NULL;
    size_t len = 0;
    answer_text("[\0]", 3);
    fake.up[REPLICA_2] = false;
    assert_true(cache_get_plain(&work, "stats:top", &text, &len));
    check_asked("replica-1 GET stats:top\n");
    assert_int_equal(work.cache, WORK_CACHE_HIT);
    assert_string_equal(work.redis_node, "replica-1");
    assert_int_equal(len, 3);
    assert_memory_equal(text, "[\0]", 3);
    answer_text("", 0);
    assert_true(cache_get_plain(&work, "stats:top", &text, &len));
    assert_int_equal(len, 0);

    fake.reply.type = REDIS_NIL;
    assert_false(cache_get_plain(&work, "stats:top", &text, &len));
    assert_int_equal(work.cache, WORK_CACHE_MISS);
    answer_integer(1);
    assert_false(cache_get_plain(&work, "stats:top", &text, &len));
    fake.up[REPLICA_1] = fake.up[MASTER] = false;
    assert_false(cache_get_plain(&work, "stats:top", &text, &len));
    assert_int_equal(work.cache, WORK_CACHE_BYPASS);
}

static void a_plain_value_is_set_on_the_master(void **state)
{
    (void)state;
    cache_set_plain(&work, "stats:top", "[1]more", 3, 10000);
    check_asked("master SET stats:top [1] PX 10000\n");
    fake.errs[MASTER] = true;
    cache_set_plain(&work, "stats:top", "[1]", 3, 1); // no error to anybody
}

// The tombstone of a write is not left out: other processes may use the cache.
static void off_means_that_no_read_asks_redis(void **state)
{
    (void)state;
    struct cache_value value = {.version = 8, .json = "{}", .len = 2};
    struct cache_claim claim;
    const char *text;
    size_t len;
    assert_true(cache_on());
    config.cache = false;
    assert_false(cache_on());
    hold_value();
    assert_false(cache_read(&work, "u", &value, &claim));
    assert_int_equal(work.cache, WORK_CACHE_BYPASS);
    work.cache = WORK_CACHE_NONE;
    assert_false(cache_get_plain(&work, "k", &text, &len));
    assert_int_equal(work.cache, WORK_CACHE_BYPASS);
    cache_set_plain(&work, "k", "x", 1, 1000);
    answer_integer(1);
    claim.held = true;
    cache_claim_token(&work, "u", &claim);
    assert_false(claim.held);
    cache_fill(&work, "u", &claim, &value);
    cache_drop(&work, "u", &claim);
    check_asked("");
    assert_null(work.redis_node);
    assert_int_equal(cache_hold(&work, &fake.epoch, "u", &claim).code, ERR_NONE);
    assert_int_equal(strncmp(fake.asked.data, "master hold cart:u X ", 21), 0);
}

// A node that has been made the master is asked last, and told of the hits of others.
static void the_role_moves_and_the_names_stay(void **state)
{
    (void)state;
    hold_value();
    redis_set_master(redis_node(REPLICA_2));
    bool told = false;
    for (int i = 0; i < 128; i++) {
        assert_true(read_cart());
        assert_string_not_equal(work.redis_node, "replica-2");
        told = told || strstr(fake.asked.data, "replica-2 send TOUCH cart:u\n");
        assert_null(strstr(fake.asked.data, "master send"));
    }
    assert_true(told);
    buf_truncate(&fake.asked, 0);
    fake.up[MASTER] = fake.up[REPLICA_1] = false;
    assert_true(read_cart());
    check_asked("replica-2 MGET cart:u HB\n");
    answer_integer(1);
    struct cache_claim claim = {.epoch = EPOCH};
    cache_claim_token(&work, "u", &claim);
    assert_int_equal(strncmp(fake.asked.data, "replica-2 claim cart:u T ", 25), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CACHE_TEST(a_value_is_a_hit),
        CACHE_TEST(anything_else_is_a_miss),
        CACHE_TEST(replicas_take_turns),
        CACHE_TEST(one_turn_s_reads_begin_with_the_same_replica),
        CACHE_TEST(others_stand_in_for_a_node_that_fails),
        CACHE_TEST(without_replicas_the_master_serves),
        CACHE_TEST(one_hit_in_64_is_told_to_the_master),
        CACHE_TEST(reads_are_counted_by_node_and_result),
        CACHE_TEST(a_plain_value_is_any_text),
        CACHE_TEST(a_plain_value_is_set_on_the_master),
        CACHE_TEST(off_means_that_no_read_asks_redis),
        CACHE_TEST(the_role_moves_and_the_names_stay),
    };
    cache_unit_begin();
    return UNIT_RUN(tests);
}
