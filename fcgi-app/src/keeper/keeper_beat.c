// The ticks.

#include "keeper/keeper_beat.h"

#include <string.h>
#include <talloc.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "base/step.h"
#include "data/lease.h"
#include "data/pg.h"
#include "keeper/keeper_modes.h"
#include "loop/co.h"

#define MS 1000000LL
#define HEARTBEAT_MS "10000" // no rule rests on it: it clears away what hosts leave

// After this a tick is given up: what it would bring is too old anyway, and a connection
// that stays silent for so long is better made anew.
#define GIVE_UP_MS 1000

// KEYS[1] this host's heartbeat; ARGV[1] the master's replication id, ARGV[2] the
// heartbeat. Tells whether it was set, and what the node said of itself just before.
static struct redis_script beat_script = {
    .text =
        "local info = redis.call('INFO', 'replication') "
        "if not string.find(info, '\\r\\nrole:master\\r\\n', 1, true) or "
        "not string.find(info, '\\r\\nmaster_replid:' .. ARGV[1] .. '\\r\\n', 1, true) "
        "then return {0, info} end "
        "redis.call('SET', KEYS[1], ARGV[2], 'PX', " HEARTBEAT_MS ") return {1, info}",
};

static const struct config *config;
static struct metric *sent, *refused, *failed;

void keeper_beat_setup(const struct config *c)
{
    config = c;
    redis_add_script(&beat_script);
    const char *name = "carrito_keeper_heartbeats_total";
    const char *help = "Heartbeats; refused: the node is no longer that master.";
    sent = metrics_counter(name, help, "result=\"sent\"");
    refused = metrics_counter(name, help, "result=\"refused\"");
    failed = metrics_counter(name, help, "result=\"failed\"");
}

static struct metric *send(struct work *work, const struct epoch *epoch,
                           struct lease_clock stamp)
{
    struct redis_node *node = redis_find(epoch->master);
    if (!node)
        return failed;
    struct heartbeat hb = {.epoch = epoch->number, .mode = epoch->mode, .stamp = stamp};
    memcpy(hb.replid, epoch->replid, sizeof hb.replid);
    struct buf text;
    buf_init(&text, work->mem, 160);
    heartbeat_put(&text, &hb);
    struct redis_arg args[] = {redis_arg_text(lease_key()),
                               redis_arg_text(epoch->replid),
                               {text.data, text.len}};
    struct redis_reply reply;
    int64_t asked_at = clock_mono_ns();
    struct err err = redis_eval(work, node, &beat_script, 1, args, 3, &reply);
    if (err_is(err) || reply.type != REDIS_ARRAY || reply.n_items != 2 ||
        reply.items[0].type != REDIS_INTEGER || reply.items[1].type != REDIS_STRING)
        return failed;
    bool done = reply.items[0].integer == 1;
    keeper_modes_heard(node, reply.items[1].text, reply.items[1].len, asked_at, done);
    return done ? sent : refused;
}

static void beat(void)
{
    int64_t begun = clock_mono_ns();
    struct work work = {.mem = talloc_new(NULL),
                        .start_by = begun + GIVE_UP_MS * MS,
                        .deadline = begun + GIVE_UP_MS * MS};
    struct lease_clock stamp = lease_now();
    STEP("beat-1");
    struct epoch epoch;
    bool restarted;
    struct err err = epoch_read(&work, PG_READ, &epoch, &restarted);
    if (err_is(err)) {
        metrics_add(failed, 1);
    } else {
        STEP("beat-2");
        keeper_modes_read(&epoch, restarted, begun);
        if (config->cache && epoch.mode != CACHE_OFF)
            metrics_add(send(&work, &epoch, stamp), 1);
    }
    talloc_free(work.mem);
}

static void beat_forever(void *unused)
{
    (void)unused;
    for (int64_t next = clock_mono_ns();; co_wait(next)) {
        beat();
        int64_t now = clock_mono_ns();
        next += TICK_MS * MS;
        if (next < now) // ticks that were missed are not made up for
            next = now;
    }
}

void keeper_beat_start(void)
{
    co_start(beat_forever, NULL);
}
