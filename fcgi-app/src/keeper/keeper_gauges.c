// The gauges, and the lock that says whose they are.

#include "keeper/keeper_gauges.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <talloc.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "data/redis.h"

#define TRY_EVERY_NS 1000000000LL

// Far behind all that the file holds; the file does not grow by it.
#define LOCKED_BYTE ((off_t)1 << 60)

static const struct config *config;
static struct metric *epoch_gauge, *modes[CACHE_MODE__MAX];
static struct metric *masters[REDIS_NODES_MAX], *lags[REDIS_NODES_MAX];
static bool mine;
static int64_t try_at;

static struct metric *labelled(const char *name, const char *help, const char *label,
                               const char *value)
{
    char *labels = mem_printf(NULL, "%s=\"%s\"", label, value);
    struct metric *gauge = metrics_gauge(name, help, labels);
    talloc_free(labels);
    return gauge;
}

void keeper_gauges_setup(const struct config *c)
{
    config = c;
    epoch_gauge = metrics_gauge("carrito_cache_epoch", "The epoch of the cache.", "");
    for (enum cache_mode mode = 0; mode < CACHE_MODE__MAX; mode++)
        modes[mode] = labelled("carrito_cache_mode",
                               "1 for the mode: hits come from any node (replicas), from "
                               "the master alone, or from nowhere (off).",
                               "mode", epoch_mode_name(mode));
    for (size_t i = 0; i < redis_nodes(); i++) {
        const char *name = redis_name(redis_node(i));
        masters[i] = labelled("carrito_cache_master",
                              "1 for the node that is written to.", "node", name);
        lags[i] =
            labelled("carrito_redis_replica_lag_bytes",
                     "What the node has not yet acknowledged of its master's stream.",
                     "node", name);
    }
}

// The lock is the file's that is opened here, and dies with the process.
static bool take_lock(void)
{
    int fd = open(config->metrics_file, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return false;
    struct flock lock = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = LOCKED_BYTE, .l_len = 1};
    int locked;
    do
        locked = fcntl(fd, F_OFD_SETLK, &lock);
    while (locked != 0 && errno == EINTR);
    if (locked != 0)
        close(fd);
    return locked == 0;
}

static bool is_mine(void)
{
    int64_t now = clock_mono_ns();
    if (!mine && now >= try_at) {
        mine = take_lock();
        try_at = now + TRY_EVERY_NS;
    }
    return mine;
}

void keeper_gauges_show(const struct epoch *epoch, const struct keeper_replicas *replicas)
{
    if (!is_mine())
        return;
    metrics_set(epoch_gauge, epoch->number);
    for (enum cache_mode mode = 0; mode < CACHE_MODE__MAX; mode++)
        metrics_set(modes[mode], mode == epoch->mode);
    for (size_t i = 0; i < redis_nodes(); i++) {
        bool is_master = strcmp(redis_addr(redis_node(i)), epoch->master) == 0;
        metrics_set(masters[i], is_master);
        metrics_set(lags[i], is_master ? 0 : replicas->nodes[i].lag);
    }
}
