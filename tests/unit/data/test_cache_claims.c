// Tokens, tombstones, and what replaces them.
// wrap: redis_call redis_eval redis_send redis_is_up hold_commit lease_now
// wrap: epoch_known redis_gather loop_turn
#include "cache_unit.h"

// Claims

static void check_name(const struct cache_claim *claim, char kind)
{
    size_t len = strlen(claim->nonce);
    assert_int_equal(claim->nonce[0], kind);
    assert_int_equal(claim->nonce[1], ' ');
    assert_true(len >= 19);
    assert_int_equal(strspn(claim->nonce + 2, "0123456789abcdef"), len - 2);
}

static void a_token_is_held_only_if_it_was_put(void **state)
{
    static const struct {
        struct redis_reply reply;
        bool held;
    } rows[] = {
        {{.type = REDIS_INTEGER, .integer = 1}, true},
        {{.type = REDIS_INTEGER, .integer = 0}, false},
        {{.type = REDIS_INTEGER, .integer = 2}, false},
        {{.type = REDIS_NIL}, false},
        {{.type = REDIS_STRING, .text = "1", .len = 1}, false},
        {{.type = REDIS_STRING, .integer = 1, .text = "OK", .len = 2}, false},
        {{.type = REDIS_ARRAY, .integer = 1}, false},
    };
    (void)state;
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct cache_claim claim = {.held = true, .epoch = 41};
        char expected[96];
        fake.reply = rows[i].reply;
        cache_claim_token(&work, "user1", &claim);
        assert_int_equal(claim.held, rows[i].held);
        assert_int_equal(claim.epoch, 41);
        check_name(&claim, 'T');
        snprintf(expected, sizeof expected, "master claim cart:user1 %s 41\n",
                 claim.nonce);
        check_asked(expected);
    }
    struct cache_claim claim = {.held = true, .epoch = 41};
    answer_integer(1);
    fake.errs[MASTER] = true;
    cache_claim_token(&work, "user1", &claim);
    assert_false(claim.held);
}

// Where the read saw no heartbeat.
static void without_an_epoch_there_is_no_token(void **state)
{
    (void)state;
    struct cache_claim claim = {.held = true, .epoch = 0};
    answer_integer(1);
    cache_claim_token(&work, "user1", &claim);
    assert_false(claim.held);
    check_asked("");
}

// The epoch is the one of the heartbeat that the read missed under.
static void a_token_is_of_the_epoch_that_was_seen(void **state)
{
    static const int64_t numbers[] = {1, 6, 7, 8, INT64_MAX};
    (void)state;
    answer_integer(1);
    for (size_t i = 0; i < LENGTH(numbers); i++) {
        struct cache_value value;
        struct cache_claim claim;
        char expected[96];
        for (int n = 0; n < NODES; n++)
            fake.hb[n] = heartbeat(numbers[i], CACHE_REPLICAS, 20);
        assert_false(cache_read(&work, "u", &value, &claim));
        buf_truncate(&fake.asked, 0);
        cache_claim_token(&work, "u", &claim);
        assert_true(claim.held);
        snprintf(expected, sizeof expected, "master claim cart:u %s %lld\n", claim.nonce,
                 (long long)numbers[i]);
        check_asked(expected);
    }
}

static void a_tombstone_is_held_as_the_hold_says(void **state)
{
    static const enum err_code codes[] = {ERR_NONE, ERR_OVERLOADED,
                                          ERR_DATABASE_UNAVAILABLE};
    (void)state;
    for (size_t i = 0; i < LENGTH(codes) * 2; i++) {
        struct cache_claim claim = {.held = i % 4 < 2};
        struct epoch epoch = {.number = 30 + (int64_t)i,
                              .mode = CACHE_MASTER,
                              .master = "replica-1.invalid:1",
                              .replid = REPLID};
        char expected[96];
        if (codes[i / 2] != ERR_NONE)
            fake.hold = err_make(codes[i / 2], NULL, "a fake failure");
        fake.hold_set = i % 2;
        assert_int_equal(cache_hold(&work, &epoch, "user1", &claim).code, codes[i / 2]);
        assert_int_equal(claim.held, i % 2); // also after an error
        assert_int_equal(claim.epoch, epoch.number);
        assert_memory_equal(&fake.held, &epoch, sizeof epoch);
        check_name(&claim, 'X');
        snprintf(expected, sizeof expected, "master hold cart:user1 %s\n", claim.nonce);
        check_asked(expected);
    }
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void no_two_claims_have_the_same_name(void **state)
{
    static char names[2000][sizeof((struct cache_claim *)0)->nonce];
    (void)state;
    for (size_t i = 0; i < LENGTH(names); i++) {
        struct cache_claim claim = {.epoch = i % 2};
        if (i % 3)
            cache_claim_token(&work, "u", &claim);
        else
            assert_int_equal(cache_hold(&work, &fake.epoch, "u", &claim).code, ERR_NONE);
        memcpy(names[i], claim.nonce, sizeof names[i]);
    }
    qsort(names, LENGTH(names), sizeof *names, compare_names);
    for (size_t i = 1; i < LENGTH(names); i++)
        assert_string_not_equal(names[i - 1], names[i]);
}

// Filling

#define STORED "carrito_cache_fills_total{node=\"master\",result=\"stored\"}"
#define LOST "carrito_cache_fills_total{node=\"master\",result=\"lost\"}"

static void a_value_replaces_the_claim(void **state)
{
    static const struct {
        int ttl_s;
        const char *life;
    } rows[] = {{1800, "1800000"}, {1, "1000"}, {86400, "86400000"}};
    (void)state;
    struct cache_claim claim = {true, 41, "T 0123456789abcdef7"};
    struct cache_value value = {.version = 8, .json = "{\"a\":\n1}+more", .len = 8};
    answer_integer(1);
    for (size_t i = 0; i < LENGTH(rows); i++) {
        char expected[128];
        config.cache_ttl_s = rows[i].ttl_s;
        cache_fill(&work, "user1", &claim, &value);
        snprintf(expected, sizeof expected,
                 "master fill cart:user1 %s V 41 8 user1\n{\"a\":\n1} %s\n", claim.nonce,
                 rows[i].life);
        check_asked(expected);
    }
}

// That there is none is as true as any other cart: other hands raise the epoch.
static void an_unwritten_cart_is_kept_like_any_other(void **state)
{
    (void)state;
    struct cache_claim claim = {.held = true, .epoch = EPOCH, .nonce = "T 1"};
    struct cache_value value = {.version = 0, .json = "{}", .len = 2};
    answer_integer(1);
    cache_fill(&work, "u", &claim, &value);
    check_asked("master fill cart:u T 1 V 7 0 u\n{} 1800000\n");
}

// It is the claim's epoch, not what this process knows by now.
static void a_value_is_of_its_claims_epoch(void **state)
{
    (void)state;
    struct cache_claim claim = {.held = true, .epoch = EPOCH - 1, .nonce = "T 1"};
    struct cache_value value = {.version = 8, .json = "{}", .len = 2};
    answer_integer(1);
    cache_fill(&work, "u", &claim, &value);
    check_asked("master fill cart:u T 1 V 6 8 u\n{} 1800000\n");
    struct epoch epoch = {.number = 12};
    assert_int_equal(cache_hold(&work, &epoch, "u", &claim).code, ERR_NONE);
    buf_truncate(&fake.asked, 0);
    cache_fill(&work, "u", &claim, &value);
    assert_non_null(strstr(fake.asked.data, " V 12 8 u\n{} "));
}

static void fills_are_counted(void **state)
{
    (void)state;
    struct cache_claim claim = {.held = true, .nonce = "T 1"};
    struct cache_value value = {.version = 8, .json = "{}", .len = 2};
    long long stored = metrics_unit_value(STORED), lost = metrics_unit_value(LOST);
    answer_integer(1);
    cache_fill(&work, "u", &claim, &value);
    assert_int_equal(metrics_unit_value(STORED), stored + 1);
    answer_integer(0);
    cache_fill(&work, "u", &claim, &value);
    assert_int_equal(metrics_unit_value(LOST), lost + 1);
    answer_integer(1);
    fake.errs[MASTER] = true;
    cache_fill(&work, "u", &claim, &value);
    assert_int_equal(metrics_unit_value(LOST), lost + 2);
    assert_int_equal(metrics_unit_value(STORED), stored + 1);
}

static void a_claim_is_taken_back(void **state)
{
    (void)state;
    struct cache_claim claim = {.held = true, .nonce = "X 0123456789abcdef7"};
    answer_integer(1);
    cache_drop(&work, "user1", &claim);
    check_asked("master drop cart:user1 X 0123456789abcdef7\n");
}

static void without_a_claim_nothing_is_put_or_taken(void **state)
{
    (void)state;
    struct cache_claim claim = {.held = false, .nonce = "T 1"};
    struct cache_value value = {.version = 8, .json = "{}", .len = 2};
    answer_integer(1);
    cache_fill(&work, "u", &claim, &value);
    cache_drop(&work, "u", &claim);
    check_asked("");
}

// What a fill has put there is a hit, for that user alone, and under that epoch.
static void what_is_filled_can_be_read(void **state)
{
    static const char *const users[] = {"u", "user123", "a.b_c-d", "-", "0"};
    (void)state;
    for (size_t i = 0; i < LENGTH(users); i++) {
        struct cache_claim claim = {.held = true, .epoch = EPOCH, .nonce = "T1"}, seen;
        struct cache_value in = {(int64_t)i * 1000 + 1, "{\"x\":\"y z\n\"}", 11}, out;
        answer_integer(1);
        cache_fill(&work, users[i], &claim, &in);
        char *text = strstr(fake.asked.data, " V ") + 1;
        char *end = strstr(text, " 1800000\n");
        hold_text(mem_strndup(work.mem, text, (size_t)(end - text)),
                  (size_t)(end - text));
        for (size_t k = 0; k < LENGTH(users); k++)
            assert_int_equal(cache_read(&work, users[k], &out, &seen), k == i);
        beat(EPOCH + 1, CACHE_REPLICAS);
        assert_false(cache_read(&work, users[i], &out, &seen));
        beat(EPOCH, CACHE_REPLICAS);
        assert_true(cache_read(&work, users[i], &out, &seen));
        buf_truncate(&fake.asked, 0);
        assert_int_equal(out.version, in.version);
        assert_int_equal(out.len, in.len);
        assert_memory_equal(out.json, in.json, in.len);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CACHE_TEST(a_token_is_held_only_if_it_was_put),
        CACHE_TEST(without_an_epoch_there_is_no_token),
        CACHE_TEST(a_token_is_of_the_epoch_that_was_seen),
        CACHE_TEST(a_tombstone_is_held_as_the_hold_says),
        CACHE_TEST(no_two_claims_have_the_same_name),
        CACHE_TEST(a_value_replaces_the_claim),
        CACHE_TEST(an_unwritten_cart_is_kept_like_any_other),
        CACHE_TEST(a_value_is_of_its_claims_epoch),
        CACHE_TEST(fills_are_counted),
        CACHE_TEST(a_claim_is_taken_back),
        CACHE_TEST(without_a_claim_nothing_is_put_or_taken),
        CACHE_TEST(what_is_filled_can_be_read),
    };
    cache_unit_begin();
    return UNIT_RUN(tests);
}
