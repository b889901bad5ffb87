// wrap: clock_mono_ns
#include "../data/metrics_unit.h"

#include <fcntl.h>
#include <string.h>

#include "base/clock.h"
#include "base/config.h"
#include "data/redis.h"
#include "keeper/keeper_gauges.h"

#define LOCKED_BYTE ((off_t)1 << 60)

static char path[] = "/tmp/gauges-XXXXXX";
static struct config config = {
    .metrics_file = path,
    .redis_master = {"a", "1"},
    .redis_replicas = {{"b", "1"}, {"c", "1"}},
    .n_redis_replicas = 2,
};
static int64_t now = 1;

int64_t __wrap_clock_mono_ns(void);

int64_t __wrap_clock_mono_ns(void)
{
    return now;
}

static const struct epoch epoch = {
    .number = 42, .mode = CACHE_MASTER, .master = "b:1", .replid = "B"};
static const struct keeper_replicas replicas = {
    .nodes = {{.lag = 70}, {.lag = 5}, {.lag = 0}}};

static void check(bool shown)
{
    static const struct {
        const char *series;
        long long value;
    } rows[] = {
        {"carrito_cache_epoch", 42},
        {"carrito_cache_mode{mode=\"off\"}", 0},
        {"carrito_cache_mode{mode=\"master\"}", 1},
        {"carrito_cache_mode{mode=\"replicas\"}", 0},
        {"carrito_cache_master{node=\"master\"}", 0},
        {"carrito_cache_master{node=\"replica-1\"}", 1},
        {"carrito_cache_master{node=\"replica-2\"}", 0},
        {"carrito_redis_replica_lag_bytes{node=\"master\"}", 70},
        {"carrito_redis_replica_lag_bytes{node=\"replica-1\"}", 0}, // the master
        {"carrito_redis_replica_lag_bytes{node=\"replica-2\"}", 0},
    };
    for (size_t i = 0; i < LENGTH(rows); i++)
        assert_int_equal(metrics_unit_value(rows[i].series), shown ? rows[i].value : 0);
}

// Another keeper of this host shows: this one waits for its end, and asks once a second.
static void one_keeper_shows(void **state)
{
    (void)state;
    int other = open(path, O_RDWR | O_CLOEXEC);
    struct flock lock = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = LOCKED_BYTE, .l_len = 1};
    assert_int_equal(fcntl(other, F_OFD_SETLK, &lock), 0);
    keeper_gauges_show(&epoch, &replicas);
    check(false);
    close(other);
    keeper_gauges_show(&epoch, &replicas);
    check(false);
    now += 1000000000;
    keeper_gauges_show(&epoch, &replicas);
    check(true);
    other = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(fcntl(other, F_OFD_SETLK, &lock), -1);
    close(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(one_keeper_shows),
    };
    close(mkstemp(path));
    redis_setup(&config);
    keeper_gauges_setup(&config);
    int failed = err_is(metrics_open(path)) || UNIT_RUN(tests);
    unlink(path);
    return failed;
}
