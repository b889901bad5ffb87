// wrap: pg_acquire pg_release pg_add pg_trip pg_abandon pg_was_sent pg_chore
// wrap: pg_ok pg_count pg_is_null pg_get pg_get_len pg_get_int pg_get_bool
// wrap: loop_sleep_ms log_write redis_call redis_is_up cache_peek cache_on epoch_known
#include "../data/metrics_unit.h"
#include "../data/pg_fake.h"

#include "base/config.h"
#include "base/log.h"
#include "data/cache.h"
#include "data/epoch.h"
#include "data/redis.h"
#include "keeper/keeper_audit.h"
#include "loop/co.h"
#include "loop/loop.h"

static struct config config = {
    .redis_master = {"a", "1"},
    .redis_replicas = {{"b", "1"}, {"c", "1"}},
    .n_redis_replicas = 2,
};

static struct {
    const char *key;       // what RANDOMKEY gives, NULL for none
    const char *committed; // the version in the database
    bool hit;
    int64_t cached;
    bool up, on, failing;
    int sleeps_left;
    struct epoch epoch;
    int64_t hit_epoch;
} fake;

static struct pg_rows *pg_fake_answer(void *mem, const struct pg_stmt *stmt)
{
    assert_string_equal(stmt->name, "keeper_cart_version");
    const char **cells = mem_array(mem, const char *, 5);
    cells[0] = "3";
    cells[1] = "replicas";
    cells[2] = "a:1";
    cells[3] = "r";
    cells[4] = fake.committed;
    return pg_fake_rows(mem, 1, 5, cells);
}

void __wrap_loop_sleep_ms(int64_t ms);
void __wrap_log_write(enum log_level level, const struct log_field *fields);
struct err __wrap_redis_call(struct work *work, struct redis_node *node,
                             const struct redis_arg *args, size_t n_args,
                             struct redis_reply *reply);
bool __wrap_redis_is_up(const struct redis_node *node);
bool __wrap_cache_peek(struct work *work, struct redis_node *node, const char *user_id,
                       struct cache_value *value, int64_t *epoch);
bool __wrap_cache_on(void);
const struct epoch *__wrap_epoch_known(void);

void __wrap_loop_sleep_ms(int64_t ms)
{
    STEP("sleep(%lld)", (long long)ms);
    if (fake.sleeps_left-- > 0)
        return;
    loop_stop();
    co_wait(CO_FOREVER);
}

void __wrap_log_write(enum log_level level, const struct log_field *fields)
{
    STEP("%s(%s)", log_level_name(level), fields[0].str);
}

struct err __wrap_redis_call(struct work *work, struct redis_node *node,
                             const struct redis_arg *args, size_t n_args,
                             struct redis_reply *reply)
{
    assert_non_null(work->mem);
    assert_int_equal(n_args, 1);
    STEP("%s(%s)", args[0].data, redis_name(node));
    if (fake.failing)
        return err_make(ERR_REDIS, NULL, "a fake failure");
    *reply = (struct redis_reply){.type = fake.key ? REDIS_STRING : REDIS_NIL,
                                  .text = fake.key,
                                  .len = fake.key ? strlen(fake.key) : 0};
    return err_ok();
}

bool __wrap_redis_is_up(const struct redis_node *node)
{
    (void)node;
    return fake.up;
}

bool __wrap_cache_peek(struct work *work, struct redis_node *node, const char *user_id,
                       struct cache_value *value, int64_t *epoch)
{
    assert_non_null(work->mem);
    STEP("peek(%s %s)", redis_name(node), user_id);
    *epoch = fake.hit_epoch;
    if (fake.hit)
        value->version = fake.cached;
    return fake.hit;
}

bool __wrap_cache_on(void)
{
    return fake.on;
}

const struct epoch *__wrap_epoch_known(void)
{
    return &fake.epoch;
}

static int setup(void **state)
{
    int failed = unit_setup(state);
    pg_fake_reset(talloc_new(*state));
    fake.key = "cart:u";
    fake.committed = "7";
    fake.hit = fake.up = fake.on = true;
    fake.failing = false;
    fake.cached = 7;
    fake.hit_epoch = 3;
    fake.epoch = (struct epoch){.number = 3, .mode = CACHE_REPLICAS};
    return failed;
}

static int teardown(void **state)
{
    assert_false(fake_conn.busy);
    talloc_free(talloc_parent(fake_trace.data));
    return unit_teardown(state);
}

#define AUDIT_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

static void run(int samples)
{
    fake.sleeps_left = samples - 1;
    keeper_audit_start();
    loop_run();
}

#define ASK "acquire(chore) trip(keeper_cart_version) release "

static void check_counts(long long hits, long long misses, long long stale)
{
    static const char *const series[] = {"carrito_audit_reads_total{result=\"hit\"}",
                                         "carrito_audit_reads_total{result=\"miss\"}",
                                         "carrito_audit_reads_total{result=\"stale\"}"};
    static long long before[3];
    const long long expected[] = {hits, misses, stale};
    for (size_t i = 0; i < LENGTH(series); i++) {
        assert_int_equal(metrics_unit_value(series[i]) - before[i], expected[i]);
        before[i] += expected[i];
    }
}

static void the_judgement(void **state)
{
    static const struct {
        bool hit;
        int64_t cached, committed;
        enum audit_result result;
    } rows[] = {
        {true, 7, 7, AUDIT_HIT},   {true, 8, 7, AUDIT_HIT}, // written since
        {true, 6, 7, AUDIT_STALE}, {true, 0, 1, AUDIT_STALE},
        {true, 0, 0, AUDIT_HIT},   {false, 0, 7, AUDIT_MISS},
    };
    (void)state;
    for (size_t i = 0; i < LENGTH(rows); i++)
        assert_int_equal(
            keeper_audit_judge(rows[i].hit, rows[i].cached, rows[i].committed),
            rows[i].result);
}

static void keys_of_carts(void **state)
{
    static const char *const others[] = {
        "",        "cart:",         "cart:a b",          "Cart:a", "cart:.", "hb:cart:a",
        "acart:a", "cart:\xC3\xA9", "stats:top-products"};
    const char *id;
    (void)state;
    assert_true(keeper_audit_cart("cart:a.B-9_", &id));
    assert_string_equal(id, "a.B-9_");
    for (size_t i = 0; i < LENGTH(others); i++)
        if (keeper_audit_cart(others[i], &id))
            fail_msg("%s is taken for a cart", others[i]);
}

// The version first, then the read, each time of another node.
static void samples_take_turns(void **state)
{
    (void)state;
    run(3);
    check_steps("RANDOMKEY(master) " ASK "peek(master u) sleep(50) "
                "RANDOMKEY(replica-1) " ASK "peek(replica-1 u) sleep(50) "
                "RANDOMKEY(replica-2) " ASK "peek(replica-2 u) sleep(50)");
    check_sent("keeper_cart_version|u");
    check_counts(3, 0, 0);
}

static void stale_is_told(void **state)
{
    (void)state;
    fake.cached = 6;
    run(1);
    check_steps("RANDOMKEY(master) " ASK "peek(master u) error(stale-hit) sleep(50)");
    fake.hit = false;
    run(1);
    check_steps("RANDOMKEY(replica-1) " ASK "peek(replica-1 u) sleep(50)");
    check_counts(0, 1, 1);
}

// The cache follows what other hands commit, and raise the epoch by, within a lease.
static void another_epoch_tells_nothing(void **state)
{
    (void)state;
    fake.cached = 6;
    fake.hit_epoch = 2;
    run(1);
    check_steps("RANDOMKEY(replica-1) " ASK "peek(replica-1 u) sleep(50)");
    check_counts(0, 1, 0);
}

static void other_keys_are_passed_over(void **state)
{
    (void)state;
    fake.key = "hb:x";
    run(1);
    fake.key = NULL;
    run(1);
    check_steps("RANDOMKEY(replica-2) sleep(50) RANDOMKEY(master) sleep(50)");
    check_counts(0, 0, 0);
}

static void in_mode_master_only_the_master_is_read(void **state)
{
    (void)state;
    fake.epoch.mode = CACHE_MASTER;
    run(2);
    check_steps("RANDOMKEY(master) " ASK "peek(master u) sleep(50) "
                "RANDOMKEY(master) " ASK "peek(master u) sleep(50)");
    check_counts(2, 0, 0);
}

static void what_fails_is_left_alone_for_a_while(void **state)
{
    (void)state;
    fake.up = false;
    run(1);
    fake.up = true;
    fake.on = false;
    run(1);
    fake.on = true;
    fake.epoch.mode = CACHE_OFF;
    run(1);
    check_steps("sleep(1000) sleep(1000) sleep(1000)");
    fake.epoch.mode = CACHE_MASTER;
    fake.failing = true;
    run(1);
    fake.failing = false;
    fake_acquire_err = err_make(ERR_DATABASE_UNAVAILABLE, NULL, "gone");
    run(1);
    fake_acquire_err = err_ok();
    fake_faults[fake_trips] =
        (struct pg_fake_fault){ERR_DATABASE_UNAVAILABLE, 0, FAKE_LOST};
    run(1);
    check_steps("RANDOMKEY(master) sleep(1000) "
                "RANDOMKEY(master) acquire(chore) sleep(1000) "
                "RANDOMKEY(master) " ASK "sleep(1000)");
    check_counts(0, 0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(the_judgement),
        UNIT_TEST(keys_of_carts),
        AUDIT_TEST(samples_take_turns),
        AUDIT_TEST(stale_is_told),
        AUDIT_TEST(other_keys_are_passed_over),
        AUDIT_TEST(in_mode_master_only_the_master_is_read),
        AUDIT_TEST(what_fails_is_left_alone_for_a_while),
        AUDIT_TEST(another_epoch_tells_nothing),
    };
    loop_init();
    redis_setup(&config);
    keeper_audit_setup();
    return UNIT_RUN(tests);
}
