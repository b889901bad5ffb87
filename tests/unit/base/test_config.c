#include "unit.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/config.h"
#include "base/mem.h"

#define REQUIRED "DATABASE_URL=dbname=carrito", "METRICS_FILE=/run/metrics.bin"

// config_load of `env`; *said: what it wrote.
static bool load(void *mem, const char *const env[], struct config *out, char **said)
{
    size_t len;
    char *text = NULL;
    FILE *errors = open_memstream(&text, &len);
    assert_non_null(errors);
    bool good = config_load(mem, (char *const *)env, out, errors);
    fclose(errors);
    *said = mem_printf(mem, "%s", text);
    free(text);
    return good;
}

static void defaults(void **state)
{
    void *mem = talloc_new(*state);
    const char *const env[] = {"PATH=/bin", REQUIRED, NULL};
    struct config c;
    char *said;
    assert_true(load(mem, env, &c, &said));
    assert_string_equal(said, "");
    assert_true(c.cache);
    assert_int_equal(c.cache_ttl_s, 1800);
    assert_int_equal(c.cart_keep_days, 90);
    assert_string_equal(c.database_url, "dbname=carrito");
    assert_int_equal(c.log_level, LOG_INFO);
    assert_string_equal(c.metrics_file, "/run/metrics.bin");
    assert_int_equal(c.pg_pool_wait_ms, 1000);
    assert_int_equal(c.pg_read_pool, 4);
    assert_int_equal(c.pg_timeout_ms, 2000);
    assert_int_equal(c.pg_write_pool, 16);
    assert_string_equal(c.redis_master.host, "127.0.0.1");
    assert_string_equal(c.redis_master.port, "6390");
    assert_string_equal(c.redis_master_name, "carrito");
    assert_string_equal(c.redis_password, "");
    assert_int_equal(c.n_redis_replicas, 2);
    assert_string_equal(c.redis_replicas[0].host, "127.0.0.1");
    assert_string_equal(c.redis_replicas[0].port, "6391");
    assert_string_equal(c.redis_replicas[1].port, "6392");
    assert_int_equal(c.redis_retry_ms, 100);
    assert_int_equal(c.n_redis_sentinels, 0);
    assert_int_equal(c.redis_timeout_ms, 100);
    assert_int_equal(c.request_queue, 1024);
    assert_int_equal(c.stats_fold_ms, 1000);
    assert_int_equal(c.top_products_ttl_s, 10);
    talloc_free(mem);
}

static void every_setting_is_read(void **state)
{
    void *mem = talloc_new(*state);
    const char *const env[] = {
        "CACHE=off",
        "CACHE_TTL_S=1",
        "CART_KEEP_DAYS=12",
        "DATABASE_URL=postgresql://u@h/d?a=b",
        "LOG_LEVEL=debug",
        "METRICS_FILE=m",
        "PG_POOL_WAIT_MS=2",
        "PG_READ_POOL=3",
        "PG_TIMEOUT_MS=514",
        "PG_WRITE_POOL=5",
        "REDIS_MASTER=redis-master:6379",
        "REDIS_MASTER_NAME=mymaster",
        "REDIS_PASSWORD=se=cr\"et",
        "REDIS_REPLICAS=a.b-c_d:1,[::1]:65535,10.0.0.1:3",
        "REDIS_RETRY_MS=60",
        "REDIS_SENTINELS=s-1:26379,s-2:26380",
        "REDIS_SOCKET_DIR=/run/redis",
        "REDIS_TIMEOUT_MS=7",
        "REQUEST_QUEUE=8",
        "STATS_FOLD_MS=90",
        "TOP_PRODUCTS_TTL_S=11",
        NULL,
    };
    struct config c;
    char *said;
    assert_true(load(mem, env, &c, &said));
    assert_string_equal(said, "");
    assert_false(c.cache);
    assert_int_equal(c.cache_ttl_s, 1);
    assert_int_equal(c.cart_keep_days, 12);
    assert_string_equal(c.database_url, "postgresql://u@h/d?a=b");
    assert_int_equal(c.log_level, LOG_DEBUG);
    assert_string_equal(c.metrics_file, "m");
    assert_int_equal(c.pg_pool_wait_ms, 2);
    assert_int_equal(c.pg_read_pool, 3);
    assert_int_equal(c.pg_timeout_ms, 514);
    assert_int_equal(c.pg_write_pool, 5);
    assert_string_equal(c.redis_master.host, "redis-master");
    assert_string_equal(c.redis_master.port, "6379");
    assert_string_equal(c.redis_master_name, "mymaster");
    assert_string_equal(c.redis_password, "se=cr\"et");
    assert_int_equal(c.n_redis_replicas, 3);
    assert_string_equal(c.redis_replicas[0].host, "a.b-c_d");
    assert_string_equal(c.redis_replicas[0].port, "1");
    assert_string_equal(c.redis_replicas[1].host, "::1");
    assert_string_equal(c.redis_replicas[1].port, "65535");
    assert_string_equal(c.redis_replicas[2].host, "10.0.0.1");
    assert_int_equal(c.redis_retry_ms, 60);
    assert_int_equal(c.n_redis_sentinels, 2);
    assert_string_equal(c.redis_sentinels[0].host, "s-1");
    assert_string_equal(c.redis_sentinels[0].port, "26379");
    assert_string_equal(c.redis_sentinels[1].host, "s-2");
    assert_string_equal(c.redis_sentinels[1].port, "26380");
    assert_string_equal(c.redis_socket_dir, "/run/redis");
    assert_int_equal(c.redis_timeout_ms, 7);
    assert_int_equal(c.request_queue, 8);
    assert_int_equal(c.stats_fold_ms, 90);
    assert_int_equal(c.top_products_ttl_s, 11);
    talloc_free(mem);
}

static void strings_are_copies(void **state)
{
    void *mem = talloc_new(*state);
    char url[] = "DATABASE_URL=x", file[] = "METRICS_FILE=y";
    char *const env[] = {url, file, NULL};
    struct config c;
    assert_true(config_load(mem, env, &c, stderr));
    memset(url, 'z', sizeof url - 1);
    assert_string_equal(c.database_url, "x");
    talloc_free(mem);
}

static void values_on_the_edge(void **state)
{
    static const struct {
        const char *setting;
        bool good;
    } rows[] = {
        {"CACHE=on", true},
        {"CACHE=off", true},
        {"CACHE=", false},
        {"CACHE=ON", false},
        {"CACHE=1", false},
        {"CACHE=true", false},
        {"CACHE=on ", false},
        {"CACHE_TTL_S=1", true},
        {"CACHE_TTL_S=86400", true},
        {"CACHE_TTL_S=0", false},
        {"CACHE_TTL_S=86401", false},
        {"CACHE_TTL_S=-1", false},
        {"CACHE_TTL_S=", false},
        {"CACHE_TTL_S=010", false},
        {"CACHE_TTL_S= 10", false},
        {"CACHE_TTL_S=10s", false},
        {"CACHE_TTL_S=4294967306", false}, // 2^32 + 10
        {"CART_KEEP_DAYS=36500", true},
        {"CART_KEEP_DAYS=36501", false},
        {"CART_KEEP_DAYS=0", false},
        {"DATABASE_URL=", false},
        {"METRICS_FILE=", false},
        {"LOG_LEVEL=error", true},
        {"LOG_LEVEL=warn", true},
        {"LOG_LEVEL=warning", false},
        {"LOG_LEVEL=3", false},
        {"LOG_LEVEL=", false},
        {"PG_POOL_WAIT_MS=60000", true},
        {"PG_POOL_WAIT_MS=60001", false},
        {"PG_READ_POOL=100", true},
        {"PG_READ_POOL=101", false},
        {"PG_TIMEOUT_MS=500", true},
        {"PG_TIMEOUT_MS=499", false},
        {"PG_WRITE_POOL=0", false},
        {"REDIS_RETRY_MS=9", false},
        {"REDIS_TIMEOUT_MS=5000", true},
        {"REDIS_TIMEOUT_MS=5001", false},
        {"REQUEST_QUEUE=100000", true},
        {"REQUEST_QUEUE=100001", false},
        {"STATS_FOLD_MS=9", false},
        {"TOP_PRODUCTS_TTL_S=3601", false},
        {"REDIS_PASSWORD=", true},
        {"REDIS_MASTER=", false},
        {"REDIS_MASTER=host", false},
        {"REDIS_MASTER=host:", false},
        {"REDIS_MASTER=:6379", false},
        {"REDIS_MASTER=host:0", false},
        {"REDIS_MASTER=host:65536", false},
        {"REDIS_MASTER=host:06379", false},
        {"REDIS_MASTER=host:+1", false},
        {"REDIS_MASTER=host:6379 ", false},
        {"REDIS_MASTER=ho st:6379", false},
        {"REDIS_MASTER=::1:6379", false},
        {"REDIS_MASTER=[::1]", false},
        {"REDIS_MASTER=[::1]:", false},
        {"REDIS_MASTER=[]:6379", false},
        {"REDIS_MASTER=[::1:6379", false},
        {"REDIS_MASTER=::1]:6379", false},
        {"REDIS_MASTER=[host]:6379", false},
        {"REDIS_MASTER=[::1]x:6379", false},
        {"REDIS_MASTER=[fe80:0:0:0:1:2:3:4]:6379", true},
        {"REDIS_MASTER=[::ffff:10.0.0.1]:6379", true},
        {"REDIS_MASTER=a:1,b:2", false},
        {"REDIS_MASTER=redis://a:1", false},
        {"REDIS_REPLICAS=", true},
        {"REDIS_REPLICAS=a:1", true},
        {"REDIS_REPLICAS=a:1,", false},
        {"REDIS_REPLICAS=,a:1", false},
        {"REDIS_REPLICAS=,", false},
        {"REDIS_REPLICAS=a:1,,b:1", false},
        {"REDIS_REPLICAS=a:1, b:1", false},
        {"REDIS_REPLICAS=a:1;b:1", false},
        {"REDIS_REPLICAS=a:1,b", false},
        {"REDIS_REPLICAS=a:1,a:2,a:3,a:4,a:5,a:6,a:7,a:8", true},
        {"REDIS_REPLICAS=a:1,a:2,a:3,a:4,a:5,a:6,a:7,a:8,a:9", false},
        {"REDIS_MASTER_NAME=", false},
        {"REDIS_SENTINELS=", true},
        {"REDIS_SENTINELS=a:1", true},
        {"REDIS_SENTINELS=a:1,b", false},
        {"REDIS_SENTINELS=a:1,a:2,a:3,a:4,a:5,a:6,a:7,a:8", true},
        {"REDIS_SENTINELS=a:1,a:2,a:3,a:4,a:5,a:6,a:7,a:8,a:9", false},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        void *mem = talloc_new(*state);
        // Like getenv(), the first of two wins.
        const char *const env[] = {rows[i].setting, REQUIRED, NULL};
        struct config c;
        char *said;
        if (load(mem, env, &c, &said) != rows[i].good)
            fail_msg("%s is %s", rows[i].setting, rows[i].good ? "refused" : "taken");
        assert_int_equal(*said == '\0', rows[i].good);
        talloc_free(mem);
    }
}

static void host_names_are_bounded(void **state)
{
    static const char name[] = "REDIS_MASTER=";
    for (size_t len = 254; len <= 256; len++) {
        void *mem = talloc_new(*state);
        char *setting = mem_printf(mem, "%s%*s:1", name, (int)len, "");
        memset(setting + sizeof name - 1, 'a', len);
        const char *const env[] = {setting, REQUIRED, NULL};
        struct config c;
        char *said;
        assert_int_equal(load(mem, env, &c, &said), len <= 255);
        talloc_free(mem);
    }
}

static void no_replicas_is_a_value(void **state)
{
    void *mem = talloc_new(*state);
    const char *const env[] = {REQUIRED, "REDIS_REPLICAS=", NULL};
    struct config c;
    char *said;
    assert_true(load(mem, env, &c, &said));
    assert_int_equal(c.n_redis_replicas, 0);
    talloc_free(mem);
}

static void names_match_whole(void **state)
{
    void *mem = talloc_new(*state);
    const char *const env[] = {"CACHE_TTL=5", "XCACHE_TTL_S=5", "CACHE_TTL_SX=5",
                               "CACHE_TTL_S", REQUIRED,         NULL};
    struct config c;
    char *said;
    assert_true(load(mem, env, &c, &said));
    assert_int_equal(c.cache_ttl_s, 1800);
    talloc_free(mem);
}

static void all_faults_are_told(void **state)
{
    void *mem = talloc_new(*state);
    const char *const env[] = {
        "CACHE=maybe",
        "CACHE_TTL_S=never",
        "LOG_LEVEL=loud",
        "METRICS_FILE=",
        "PG_READ_POOL=0",
        "REDIS_MASTER=nowhere",
        "REDIS_PASSWORD=opensesame",
        "REDIS_REPLICAS=a:1,b\n",
        NULL,
    };
    struct config c, before;
    memset(&c, 0x5A, sizeof c);
    before = c;
    char *said;
    assert_false(load(mem, env, &c, &said));
    assert_string_equal(
        said,
        "CACHE is \"maybe\"; allowed: on or off\n"
        "CACHE_TTL_S is \"never\"; allowed: 1 to 86400\n"
        "DATABASE_URL is not set; allowed: any text, not empty\n"
        "LOG_LEVEL is \"loud\"; allowed: error, warn, info or debug\n"
        "METRICS_FILE is \"\"; allowed: any text, not empty\n"
        "PG_READ_POOL is \"0\"; allowed: 1 to 100\n"
        "REDIS_MASTER is \"nowhere\"; allowed: host:port\n"
        "REDIS_REPLICAS is \"a:1,b\\n\"; allowed: up to 8 host:port, commas between\n");
    assert_memory_equal(&c, &before, sizeof c);
    talloc_free(mem);
}

static void the_table_is_complete(void **state)
{
    (void)state;
    static const char *const names[] = {
        "CACHE",           "CACHE_TTL_S",      "CART_KEEP_DAYS",
        "DATABASE_URL",    "LOG_LEVEL",        "METRICS_FILE",
        "PG_POOL_WAIT_MS", "PG_READ_POOL",     "PG_TIMEOUT_MS",
        "PG_WRITE_POOL",   "REDIS_MASTER",     "REDIS_MASTER_NAME",
        "REDIS_PASSWORD",  "REDIS_REPLICAS",   "REDIS_RETRY_MS",
        "REDIS_SENTINELS", "REDIS_SOCKET_DIR", "REDIS_TIMEOUT_MS",
        "REQUEST_QUEUE",   "STATS_FOLD_MS",    "TOP_PRODUCTS_TTL_S",
    };
    size_t len;
    char *text = NULL, *rest = NULL;
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    config_print_table(out);
    fclose(out);
    assert_non_null(strstr(
        text,
        "\n| `CACHE_TTL_S` | `1800` | 1 to 86400 | life of a cached cart, seconds |\n"));
    assert_non_null(
        strstr(text, "\n| `DATABASE_URL` | (required) | any text, not empty | "));
    assert_non_null(strstr(text, "\n| `REDIS_PASSWORD` | | any text | "));

    size_t row = 0;
    for (char *line = strtok_r(text, "\n", &rest); line;
         line = strtok_r(NULL, "\n", &rest), row++) {
        size_t bars = 0;
        for (const char *p = line; *p; p++)
            bars += *p == '|';
        assert_int_equal(bars, 5);
        if (row < 2)
            continue;
        char name[64];
        assert_int_equal(sscanf(line, "| `%63[A-Z_]` |", name), 1);
        assert_true(row - 2 < LENGTH(names));
        assert_string_equal(name, names[row - 2]);
        assert_true(row == 2 || strcmp(names[row - 3], name) < 0);
    }
    assert_int_equal(row, LENGTH(names) + 2);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(defaults),
        UNIT_TEST(every_setting_is_read),
        UNIT_TEST(strings_are_copies),
        UNIT_TEST(values_on_the_edge),
        UNIT_TEST(host_names_are_bounded),
        UNIT_TEST(no_replicas_is_a_value),
        UNIT_TEST(names_match_whole),
        UNIT_TEST(all_faults_are_told),
        UNIT_TEST(the_table_is_complete),
    };
    return UNIT_RUN(tests);
}
