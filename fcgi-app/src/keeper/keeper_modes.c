// Asking the nodes, and moving the epoch.

#include "keeper/keeper_modes.h"

#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "data/lease.h"
#include "data/pg.h"
#include "data/replication.h"
#include "data/sentinel.h"
#include "keeper/keeper_gauges.h"
#include "keeper/keeper_replicas.h"
#include "keeper/keeper_rules.h"
#include "loop/co.h"
#include "loop/loop.h"

#define MS 1000000LL
#define ASK_EVERY_MS 100

// An epoch that was read longer ago is no ground for a move.
#define READING_MS 1000

// Other hands may raise the number, and nothing else, many times a second.
#define TRIES_MAX 10

// Proves that the master takes writes: a heartbeat that it would refuse is of no use.
#define PROBE_KEY "carrito:probe"
#define PROBE_MS "1000"

static const struct config *config;
static struct {
    struct epoch epoch;
    bool restarted;
    int64_t asked_at; // 0: never
} reading;
static struct {
    int64_t asked_at;
    struct replication info;
} heard[REDIS_NODES_MAX];
static struct keeper_replicas replicas;
static struct keeper_memory memory;
static struct metric *moves[CACHE_MODE__MAX];
static bool move_failed; // and the log says so already
static char unknown_replica[REDIS_ADDR_MAX], unknown_master[REDIS_ADDR_MAX];

void keeper_modes_setup(const struct config *c)
{
    config = c;
    for (enum cache_mode mode = 0; mode < CACHE_MODE__MAX; mode++) {
        char labels[32];
        snprintf(labels, sizeof labels, "to=\"%s\"", epoch_mode_name(mode));
        moves[mode] = metrics_counter("carrito_keeper_moves_total",
                                      "Moves of the cache's epoch by a keeper.", labels);
    }
}

void keeper_modes_read(const struct epoch *epoch, bool restarted, int64_t asked_at)
{
    if (asked_at < reading.asked_at) // a move was made since
        return;
    reading.epoch = *epoch;
    reading.restarted = restarted;
    reading.asked_at = asked_at;
}

static bool is_epochs_master(const struct redis_node *node,
                             const struct replication *info)
{
    return info->is_master && strcmp(redis_addr(node), reading.epoch.master) == 0 &&
           strcmp(info->replid, reading.epoch.replid) == 0;
}

void keeper_modes_heard(const struct redis_node *node, const char *text, size_t len,
                        int64_t asked_at, bool sent)
{
    struct replication info;
    if (!replication_parse(text, len, &info))
        return;
    if (sent && is_epochs_master(node, &info))
        keeper_replicas_sent(&replicas, info.replid, asked_at, info.offset);
    size_t number = 0;
    while (redis_node(number) != node)
        number++;
    if (asked_at <= heard[number].asked_at)
        return;
    heard[number].asked_at = asked_at;
    heard[number].info = info;
    if (is_epochs_master(node, &info))
        keeper_replicas_heard(&replicas, node, &info, asked_at);
}

static void ask(struct redis_node *node)
{
    struct work work = pg_chore();
    struct redis_arg args[] = {redis_arg_text("INFO"), redis_arg_text("replication")};
    struct redis_reply reply;
    int64_t asked_at = clock_mono_ns();
    struct err err = redis_call(&work, node, args, 2, &reply);
    if (!err_is(err) && reply.type == REDIS_STRING)
        keeper_modes_heard(node, reply.text, reply.len, asked_at, false);
    talloc_free(work.mem);
}

static void ask_forever(void *arg)
{
    struct redis_node *node = arg;
    for (;;) {
        ask(node);
        loop_sleep_ms(ASK_EVERY_MS);
    }
}

// All that the rules look at; *epoch is a copy, as what it is copied from may change
// while a move is under way.
static void look(struct keeper_view *view, struct epoch *epoch)
{
    *epoch = reading.epoch;
    *view = (struct keeper_view){
        .now = clock_mono_ns(),
        .epoch = epoch,
        .restarted = reading.restarted,
        .cache = config->cache,
        // One late answer, a new connection, and the next answer nearly late.
        .patience = (2LL * config->redis_timeout_ms + config->redis_retry_ms + 200) * MS,
        .n_nodes = redis_nodes(),
        .n_sentinels = sentinel_count(),
    };
    bool known = strcmp(replicas.replid, epoch->replid) == 0;
    for (size_t i = 0; i < view->n_nodes; i++)
        view->nodes[i] = (struct keeper_node){
            .addr = redis_addr(redis_node(i)),
            .asked_at = heard[i].asked_at,
            .is_master = heard[i].info.is_master,
            .replid = heard[i].info.replid,
            .replica = known ? replicas.nodes[i].state : REPLICA_BEHIND,
        };
    view->unknown_replica = known && *replicas.unknown;
    for (size_t i = 0; i < view->n_sentinels; i++)
        view->words[i] = sentinel_said(i);
}

// Says it once for each address: a wrong address in the configuration, or in what a
// replica announces, is hard to find otherwise.
static void say_unknown(const char *addr, char said[REDIS_ADDR_MAX], const char *event)
{
    if (*addr && strcmp(addr, said) != 0)
        log_event(LOG_WARN, event, LOG_STR("address", addr));
    snprintf(said, REDIS_ADDR_MAX, "%s", addr);
}

static void say_strangers(const struct keeper_view *view)
{
    say_unknown(view->unknown_replica ? replicas.unknown : "", unknown_replica,
                "unknown-replica");
    for (size_t i = 0; i < view->n_sentinels; i++)
        if (view->words[i].asked_at && !redis_find(view->words[i].master))
            say_unknown(view->words[i].master, unknown_master, "unknown-master");
}

static bool takes_writes(const struct keeper_move *move)
{
    struct redis_node *node = redis_find(move->master);
    if (!node)
        return false;
    struct work work = pg_chore();
    struct redis_arg args[] = {redis_arg_text("SET"), redis_arg_text(PROBE_KEY),
                               redis_arg_text(move->replid), redis_arg_text("PX"),
                               redis_arg_text(PROBE_MS)};
    struct redis_reply reply;
    struct err err = redis_call(&work, node, args, 5, &reply);
    talloc_free(work.mem);
    return !err_is(err);
}

static bool same_state(const struct epoch *a, const struct epoch *b)
{
    return a->mode == b->mode && strcmp(a->master, b->master) == 0 &&
           strcmp(a->replid, b->replid) == 0;
}

static void say_moved(const struct epoch *from, const struct epoch *to, const char *why)
{
    metrics_add(moves[to->mode], 1);
    log_event(LOG_INFO, "epoch-moved", LOG_INT("from", from->number),
              LOG_INT("to", to->number), LOG_STR("mode", epoch_mode_name(to->mode)),
              LOG_STR("master", to->master), LOG_STR("why", why));
}

// From the epoch `seen`, or from a later number of the same state.
static void carry_out(struct epoch seen, const struct keeper_move *move)
{
    struct work work = pg_chore();
    struct epoch now = seen;
    bool moved = false;
    struct err err = err_ok();
    for (int tries = 0; tries < TRIES_MAX && !moved && same_state(&now, &seen); tries++) {
        seen = now;
        err = epoch_move(&work, PG_CHORE, seen.number, move->mode, move->master,
                         move->replid, &now, &moved);
        if (err_is(err))
            break;
    }
    if (moved)
        say_moved(&seen, &now, move->why);
    if (err_is(err) && !move_failed)
        log_event(LOG_WARN, "epoch-not-moved", LOG_STR("why", err.detail));
    move_failed = err_is(err);
    if (!move_failed)
        keeper_modes_read(&now, reading.restarted && !moved, clock_mono_ns());
    talloc_free(work.mem);
}

static void decide(void)
{
    struct keeper_view view;
    struct epoch epoch;
    look(&view, &epoch);
    keeper_gauges_show(&epoch, &replicas);
    say_strangers(&view);
    struct keeper_move move = keeper_decide(&memory, &view);
    if (!move.why)
        return;
    // The strings are those of what was heard, which goes on while this waits.
    char master[REDIS_ADDR_MAX], replid[REPLID_MAX];
    snprintf(master, sizeof master, "%s", move.master);
    snprintf(replid, sizeof replid, "%s", move.replid);
    move.master = master;
    move.replid = replid;
    bool turns_on = epoch.mode == CACHE_OFF && move.mode != CACHE_OFF;
    if (!turns_on || takes_writes(&move))
        carry_out(epoch, &move);
}

static void decide_forever(void *unused)
{
    (void)unused;
    for (;;) {
        if (reading.asked_at && clock_mono_ns() - reading.asked_at < READING_MS * MS)
            decide();
        loop_sleep_ms(TICK_MS);
    }
}

void keeper_modes_start(void)
{
    for (size_t i = 0; config->cache && i < redis_nodes(); i++)
        co_start(ask_forever, redis_node(i));
    co_start(decide_forever, NULL);
}
