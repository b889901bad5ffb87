// Tombstones and the hold before COMMIT.
//
// In mode replicas the tombstones of a process are gathered: all that are due are set by
// one script, with INFO, WAIT and INFO behind it, on the master's second connection,
// which WAIT may block; the next ones gather meanwhile. Invariant: at most one batch is
// on its way, and each member of a batch waits until the batch is done with it.
//
// WAIT is only there to make the replicas say how far they are. It counts, it does not
// name; after a write that was refused it says "all". So what counts is the second INFO:
// who is listed, and which offset each has acknowledged.

#include "data/hold.h"

#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/step.h"
#include "data/lease.h"
#include "data/pg_group.h" // COMMIT_NS
#include "data/redis.h"
#include "data/replication.h"
#include "loop/co.h"
#include "loop/keylock.h"

#define MS 1000000LL
#define TOMBSTONE_MS "10000"
#define BATCH_MAX 32U

// How long replicas may take to acknowledge; after that rule (b) is the sooner one to
// wait for, and the connection is needed for the next batch.
#define WAIT_MS 100
#define WAIT_TEXT "100"

// Epochs that one write may meet.
#define TRIES_MAX 4

// KEYS the carts; ARGV[1] the master's replication id, then a tombstone for each.
static struct redis_script tombstone_script = {
    .text =
        "local info = redis.call('INFO', 'replication') "
        "if not string.find(info, 'role:master', 1, true) or "
        "not string.find(info, 'master_replid:' .. ARGV[1], 1, true) then return 0 end "
        "for i, key in ipairs(KEYS) do "
        "redis.call('SET', key, ARGV[i + 1], 'PX', " TOMBSTONE_MS ") end return 1",
};

// A write that waits for its tombstone; on its own stack.
struct member {
    struct co *co;
    const char *key;
    char *tombstone; // where the write wants to have it; a fresh one for each try
    struct member *next;
    bool done;
    bool set;        // the master answered that the tombstone stands
    int64_t set_at;  // when it did
    bool everywhere; // every other node has acknowledged it
};

static struct member *gathered, **last_gathered = &gathered;
static struct epoch gathered_epoch; // of all that are gathered
static bool running;
static const struct config *config;
static struct keylock *moving;
static struct metric *by_acknowledgement, *by_lease, *by_epoch, *hold_times;

void hold_setup(const struct config *c)
{
    config = c;
    redis_add_script(&tombstone_script);
    moving = keylock_new(NULL, UINT32_MAX);
    const char *help = "Commits by what let them go.";
    by_acknowledgement =
        metrics_counter("carrito_holds_total", help, "by=\"acknowledgement\"");
    by_lease = metrics_counter("carrito_holds_total", help, "by=\"lease\"");
    by_epoch = metrics_counter("carrito_holds_total", help, "by=\"epoch\"");
    hold_times = metrics_histogram("carrito_hold_seconds",
                                   "From the tombstone to when COMMIT may be sent.", "");
}

// Batches

static void take_batch(struct member **first, size_t *n)
{
    struct member **end = &gathered;
    *n = 0;
    while (*end && *n < BATCH_MAX) {
        end = &(*end)->next;
        ++*n;
    }
    *first = gathered;
    gathered = *end;
    *end = NULL;
    if (!gathered)
        last_gathered = &gathered;
}

static struct redis_asked *ask_tombstones(struct work *work, struct redis_node *node,
                                          const char *replid, const struct member *first,
                                          size_t n)
{
    struct redis_arg args[REDIS_ARGS_MAX];
    args[n] = redis_arg_text(replid);
    size_t i = 0;
    for (const struct member *m = first; m; m = m->next, i++) {
        args[i] = redis_arg_text(m->key);
        args[n + 1 + i] = redis_arg_text(m->tombstone);
    }
    return redis_ask_eval(work, node, &tombstone_script, n, args, 2 * n + 1);
}

static struct redis_asked *ask_info(struct work *work, struct redis_node *node)
{
    struct redis_arg args[] = {redis_arg_text("INFO"), redis_arg_text("replication")};
    return redis_ask(work, node, args, 2);
}

static struct redis_asked *ask_wait(struct work *work, struct redis_node *node)
{
    char count[24];
    snprintf(count, sizeof count, "%zu", redis_nodes() - 1);
    struct redis_arg args[] = {redis_arg_text("WAIT"), redis_arg_text(count),
                               redis_arg_text(WAIT_TEXT)};
    return redis_ask(work, node, args, 3);
}

// An answer that must come by `deadline`; false if it does not, or is an error.
static bool got(struct work *work, struct redis_asked *asked, int64_t deadline,
                struct redis_reply *reply)
{
    return asked && !err_is(redis_answer(work, asked, deadline, true, reply));
}

static bool got_info(struct work *work, struct redis_asked *asked, int64_t deadline,
                     struct replication *info)
{
    struct redis_reply reply;
    return got(work, asked, deadline, &reply) && reply.type == REDIS_STRING &&
           replication_parse(reply.text, reply.len, info);
}

// Sets the tombstones of a batch and learns who has them. The answers are collected all,
// whatever the first ones say.
static void run_batch(struct work *work, const struct epoch *epoch, struct member *first,
                      size_t n)
{
    struct redis_node *master = redis_find(epoch->master);
    struct redis_node *node = master ? redis_second(master) : NULL;
    if (!node || !redis_is_up(node))
        return;
    struct redis_asked *tombstones = ask_tombstones(work, node, epoch->replid, first, n);
    struct redis_asked *info_before = ask_info(work, node);
    struct redis_asked *wait = ask_wait(work, node);
    struct redis_asked *info_after = ask_info(work, node);

    struct redis_reply reply;
    int64_t soon = clock_mono_ns() + config->redis_timeout_ms * MS;
    bool set = got(work, tombstones, soon, &reply) && reply.type == REDIS_INTEGER &&
               reply.integer == 1;
    int64_t set_at = clock_mono_ns();
    for (struct member *m = first; m; m = m->next) {
        m->set = set;
        m->set_at = set_at;
    }
    struct replication before, after;
    bool everywhere = got_info(work, info_before, soon, &before);
    everywhere = got(work, wait, soon + WAIT_MS * MS, &reply) && everywhere;
    everywhere = got_info(work, info_after, soon + WAIT_MS * MS, &after) && everywhere;
    everywhere = everywhere && set && before.is_master && after.is_master &&
                 strcmp(before.replid, epoch->replid) == 0 &&
                 strcmp(after.replid, epoch->replid) == 0 &&
                 replication_all_have(&after, master, before.offset);
    for (struct member *m = first; m; m = m->next)
        m->everywhere = everywhere;
}

static void run_batches(void *unused)
{
    (void)unused;
    while (gathered) {
        struct work work = {.mem = talloc_new(NULL), .deadline = CO_FOREVER};
        struct epoch epoch = gathered_epoch;
        struct member *first, *next;
        size_t n;
        take_batch(&first, &n);
        run_batch(&work, &epoch, first, n);
        for (struct member *m = first; m; m = next) {
            next = m->next;
            m->done = true;
            co_wake(m->co);
        }
        talloc_free(work.mem);
    }
    running = false;
}

// Puts the member into the next batch and waits until that is done.
static void join_batch(struct work *work, const struct epoch *epoch, struct member *me)
{
    nonce_put(me->tombstone, 'X');
    int64_t begun = clock_mono_ns();
    gathered_epoch = *epoch;
    *last_gathered = me;
    last_gathered = &me->next;
    if (!running) {
        running = true;
        co_start(run_batches, NULL);
    }
    while (!me->done)
        co_wait(CO_FOREVER);
    work->redis_ns += clock_mono_ns() - begun;
}

// A tombstone by itself, on the given connection.
static void set_alone(struct work *work, struct redis_node *node,
                      const struct epoch *epoch, struct member *me)
{
    nonce_put(me->tombstone, 'X');
    struct redis_arg args[] = {redis_arg_text(me->key), redis_arg_text(epoch->replid),
                               redis_arg_text(me->tombstone)};
    struct redis_reply reply;
    struct err err = redis_eval(work, node, &tombstone_script, 1, args, 3, &reply);
    me->set = !err_is(err) && reply.type == REDIS_INTEGER && reply.integer == 1;
    me->set_at = clock_mono_ns();
}

// Tries twice, on two connections: a SET of which nothing is known proves nothing,
// however long one waits.
static bool set_tombstone(struct work *work, const struct epoch *epoch, struct member *me)
{
    struct redis_node *master = redis_find(epoch->master);
    if (!master)
        return false;
    bool gather = epoch->mode == CACHE_REPLICAS && redis_nodes() > 1 &&
                  (!gathered || gathered_epoch.number == epoch->number);
    if (gather)
        join_batch(work, epoch, me);
    else
        set_alone(work, master, epoch, me);
    if (!me->set)
        set_alone(work, gather ? master : redis_second(master), epoch, me);
    if (me->set && !work->redis_node)
        work->redis_node = redis_name(master);
    return me->set;
}

// The hold itself

static struct err hold_until(struct work *work, int64_t time)
{
    if (time > work->deadline - COMMIT_NS)
        return err_make(ERR_OVERLOADED, NULL,
                        "the hold before COMMIT would last too long");
    while (clock_mono_ns() < time)
        co_wait(time);
    return err_ok();
}

// By rule (a) at once, by (b) or (c) when their time has come. The time counts as Redis's
// where replicas are waited for, else as the database's.
static struct err hold(struct work *work, const struct epoch *epoch,
                       const struct member *me)
{
    int64_t begun = clock_mono_ns();
    struct err err = err_ok();
    struct metric *by = by_acknowledgement;
    if (epoch->mode != CACHE_REPLICAS) {
        by = by_epoch;
        err = hold_until(work, epoch_first_read(epoch->number) + HOLD_NS);
        work->db_ns += clock_mono_ns() - begun;
    } else if (!me->everywhere) {
        by = by_lease;
        err = hold_until(work, me->set_at + HOLD_NS);
        work->redis_ns += clock_mono_ns() - begun;
    }
    metrics_add(by, !err_is(err));
    return err;
}

// One writer at a time of those that could not reach the master. Whoever comes later
// finds that the epoch has moved.
static struct err move_to_off(struct work *work, struct epoch *epoch)
{
    int64_t start_by = work->start_by;
    work->start_by = work->deadline - HOLD_NS - COMMIT_NS;
    if (!keylock_take(moving, "off", work->start_by))
        return err_make(ERR_OVERLOADED, NULL,
                        "the cache could not be turned off in time");
    struct err err = err_ok();
    bool moved = false;
    if (epoch_known()->number > epoch->number)
        *epoch = *epoch_known();
    else
        err = epoch_move(work, PG_CHORE, epoch->number, CACHE_OFF, epoch->master,
                         epoch->replid, epoch, &moved);
    keylock_give(moving, "off");
    work->start_by = start_by;
    if (moved)
        log_event(LOG_WARN, "epoch-moved", LOG_INT("epoch", epoch->number),
                  LOG_STR("mode", "off"), LOG_STR("why", "a tombstone could not be set"));
    return err;
}

struct err hold_commit(struct work *work, const struct epoch *read, const char *key,
                       char tombstone[NONCE_MAX], bool *set)
{
    int64_t begun = clock_mono_ns();
    struct epoch epoch = *read;
    *set = false;
    *tombstone = '\0';
    for (int tries = 0; tries < TRIES_MAX; tries++) {
        struct member me = {.co = co_self(), .key = key, .tombstone = tombstone};
        if (epoch.mode == CACHE_OFF ||
            (config->cache && set_tombstone(work, &epoch, &me))) {
            *set = me.set;
            STEP("write-3");
            struct err err = hold(work, &epoch, &me);
            metrics_observe(hold_times, clock_mono_ns() - begun);
            return err;
        }
        struct err err = move_to_off(work, &epoch);
        if (err_is(err))
            return err;
    }
    return err_make(ERR_OVERLOADED, NULL, "the cache changes its state too often");
}
