// wrap: redis_call redis_eval redis_send redis_is_up redis_replicas redis_drop
// wrap: redis_on_master
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
        struct cache_claim claim = {.held = true};
        char expected[96];
        fake.reply = rows[i].reply;
        cache_claim_token(&work, "user1", &claim);
        assert_int_equal(claim.held, rows[i].held);
        check_name(&claim, 'T');
        snprintf(expected, sizeof expected, "master claim cart:user1 %s\n", claim.nonce);
        check_asked(expected);
    }
    struct cache_claim claim = {.held = true};
    answer_integer(1);
    fake.errs[MASTER] = true;
    cache_claim_token(&work, "user1", &claim);
    assert_false(claim.held);
}

static void a_tombstone_is_held_unless_its_fate_is_unknown(void **state)
{
    (void)state;
    struct cache_claim claim = {.held = false};
    char expected[96];
    answer_text("OK", 2);
    cache_claim_tombstone(&work, "user1", &claim);
    assert_true(claim.held);
    check_name(&claim, 'X');
    snprintf(expected, sizeof expected, "master SET cart:user1 %s PX 10000\n",
             claim.nonce);
    check_asked(expected);
    assert_string_equal(work.redis_node, "master");

    work.redis_node = "replica-2"; // the node that was read stays named
    cache_claim_tombstone(&work, "user1", &claim);
    assert_string_equal(work.redis_node, "replica-2");

    work.redis_node = NULL;
    fake.errs[MASTER] = true;
    cache_claim_tombstone(&work, "user1", &claim);
    assert_false(claim.held);
    assert_null(work.redis_node);
    fake.up[MASTER] = false;
    claim.held = true;
    cache_claim_tombstone(&work, "user1", &claim);
    assert_false(claim.held);
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
        struct cache_claim claim;
        if (i % 3)
            cache_claim_token(&work, "u", &claim);
        else
            cache_claim_tombstone(&work, "u", &claim);
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
    struct cache_claim claim = {.held = true, .nonce = "T 0123456789abcdef7"};
    struct cache_value value = {.version = 8, .json = "{\"a\":\n1}+more", .len = 8};
    answer_integer(1);
    for (size_t i = 0; i < LENGTH(rows); i++) {
        char expected[128];
        config.cache_ttl_s = rows[i].ttl_s;
        cache_fill(&work, "user1", &claim, &value);
        snprintf(expected, sizeof expected,
                 "master fill cart:user1 %s V 8 user1\n{\"a\":\n1} %s\n", claim.nonce,
                 rows[i].life);
        check_asked(expected);
    }
}

// Others than this program may write a cart for the first time: it is not kept for long
// that there is none.
static void an_unwritten_cart_is_kept_for_seconds(void **state)
{
    (void)state;
    struct cache_claim claim = {.held = true, .nonce = "T 1"};
    struct cache_value value = {.version = 0, .json = "{}", .len = 2};
    answer_integer(1);
    cache_fill(&work, "u", &claim, &value);
    check_asked("master fill cart:u T 1 V 0 u\n{} 5000\n");
    value.version = 1;
    cache_fill(&work, "u", &claim, &value);
    check_asked("master fill cart:u T 1 V 1 u\n{} 1800000\n");
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

// What a fill has put there is a hit, for that user alone.
static void what_is_filled_can_be_read(void **state)
{
    static const char *const users[] = {"u", "user123", "a.b_c-d", "-", "0"};
    (void)state;
    for (size_t i = 0; i < LENGTH(users); i++) {
        struct cache_claim claim = {.held = true, .nonce = "T1"};
        struct cache_value in = {(int64_t)i * 1000 + 1, "{\"x\":\"y z\n\"}", 11}, out;
        answer_integer(1);
        cache_fill(&work, users[i], &claim, &in);
        char *text = strstr(fake.asked.data, " V ") + 1;
        char *end = strstr(text, " 1800000\n");
        answer_text(mem_strndup(work.mem, text, (size_t)(end - text)),
                    (size_t)(end - text));
        buf_truncate(&fake.asked, 0);
        for (size_t k = 0; k < LENGTH(users); k++) {
            assert_int_equal(cache_read(&work, users[k], &out), k == i);
            buf_truncate(&fake.asked, 0);
        }
        assert_true(cache_read(&work, users[i], &out));
        buf_truncate(&fake.asked, 0);
        assert_int_equal(out.version, in.version);
        assert_int_equal(out.len, in.len);
        assert_memory_equal(out.json, in.json, in.len);
    }
}

// Tombstones that could not be set

// What the next connection to the master begins with; false when nothing is owed.
static bool greet(bool sent)
{
    struct redis_arg args[REDIS_ARGS_MAX];
    size_t n_args = 0;
    if (!fake.greet(work.mem, sent, args, &n_args))
        return false;
    assert_true(n_args >= 1 && n_args <= REDIS_ARGS_MAX);
    record(redis_master(), "", args, n_args);
    return true;
}

static void fail_to_bury(const char *user_id)
{
    struct cache_claim claim;
    fake.errs[MASTER] = true;
    cache_claim_tombstone(&work, user_id, &claim);
    fake.errs[MASTER] = false;
}

// The connection is dropped, so that the next one begins with what is owed.
static void a_tombstone_that_failed_is_owed_to_the_master(void **state)
{
    (void)state;
    assert_false(greet(false));
    fail_to_bury("user1");
    char *dropped = strstr(fake.asked.data, "master dropped\n");
    assert_non_null(dropped);
    assert_true(dropped > strstr(fake.asked.data, "master SET cart:user1 X"));
    buf_truncate(&fake.asked, 0);

    assert_true(greet(false));
    check_asked("master UNLINK cart:user1\n");
    assert_true(greet(false)); // that connection failed: once more on the next
    check_asked("master UNLINK cart:user1\n");
    assert_false(greet(true));
    assert_false(greet(false));
    check_asked("");
}

static void one_that_was_set_is_not_owed(void **state)
{
    (void)state;
    struct cache_claim claim;
    cache_claim_tombstone(&work, "user1", &claim);
    assert_null(strstr(fake.asked.data, "dropped"));
    config.cache = false;
    fail_to_bury("user1");
    assert_false(greet(false));
}

static void what_comes_meanwhile_is_owed_too(void **state)
{
    (void)state;
    fail_to_bury("user1");
    assert_true(greet(false));
    fail_to_bury("user2");
    fail_to_bury("user1"); // written again: what it held since is old as well
    buf_truncate(&fake.asked, 0);
    assert_true(greet(true));
    check_asked("master UNLINK cart:user2 cart:user1\n");
    assert_false(greet(true));
}

// As many as a command holds at a time, each once.
static void many_are_owed_in_several_commands(void **state)
{
    static bool seen[4096];
    (void)state;
    char user_id[16];
    for (int i = 0; i < 4096; i++) {
        snprintf(user_id, sizeof user_id, "u%d", i);
        fail_to_bury(user_id);
    }
    int commands = 0;
    for (bool sent = false; buf_truncate(&fake.asked, 0), greet(sent); sent = true) {
        char *rest, *word = strtok_r(fake.asked.data, " \n", &rest);
        assert_string_equal(word, "master");
        assert_string_equal(strtok_r(NULL, " \n", &rest), "UNLINK");
        while ((word = strtok_r(NULL, " \n", &rest))) {
            int i;
            assert_int_equal(sscanf(word, "cart:u%d", &i), 1);
            assert_false(seen[i]);
            seen[i] = true;
        }
        commands++;
    }
    for (size_t i = 0; i < LENGTH(seen); i++)
        assert_true(seen[i]);
    assert_int_equal(commands, (4096 + REDIS_ARGS_MAX - 2) / (REDIS_ARGS_MAX - 1));
}

static void too_many_empty_the_cache(void **state)
{
    (void)state;
    for (int i = 0; i < 4097; i++)
        fail_to_bury("u");
    buf_truncate(&fake.asked, 0);
    assert_true(greet(false));
    check_asked("master FLUSHDB\n");
    assert_true(greet(false)); // not answered: once more
    check_asked("master FLUSHDB\n");
    fail_to_bury("v"); // while that is under way
    buf_truncate(&fake.asked, 0);
    assert_true(greet(true));
    check_asked("master FLUSHDB\n");
    assert_false(greet(true));
    fail_to_bury("u"); // and from here on as before
    buf_truncate(&fake.asked, 0);
    assert_true(greet(false));
    check_asked("master UNLINK cart:u\n");
    assert_false(greet(true));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CACHE_TEST(a_token_is_held_only_if_it_was_put),
        CACHE_TEST(a_tombstone_is_held_unless_its_fate_is_unknown),
        CACHE_TEST(no_two_claims_have_the_same_name),
        CACHE_TEST(a_value_replaces_the_claim),
        CACHE_TEST(an_unwritten_cart_is_kept_for_seconds),
        CACHE_TEST(fills_are_counted),
        CACHE_TEST(a_claim_is_taken_back),
        CACHE_TEST(without_a_claim_nothing_is_put_or_taken),
        CACHE_TEST(what_is_filled_can_be_read),
        CACHE_TEST(a_tombstone_that_failed_is_owed_to_the_master),
        CACHE_TEST(one_that_was_set_is_not_owed),
        CACHE_TEST(what_comes_meanwhile_is_owed_too),
        CACHE_TEST(many_are_owed_in_several_commands),
        CACHE_TEST(too_many_empty_the_cache),
    };
    cache_unit_begin();
    return UNIT_RUN(tests);
}
