// The decision, one rule after another.

#include "keeper/keeper_rules.h"

#include <string.h>

#define MS 1000000LL

// A keeper that did not look for so long was stopped, and knows only what is long past.
#define PAUSE_MS 300

// What a sentinel said so long ago no longer counts.
#define WORD_MS 1500

// All replicas are well for so long before hits are spread over them again.
#define SETTLE_MS 500

// The cache was on for less than this: then off lasts a while, twice as long each time,
// as somebody cannot use the master that this keeper can reach.
#define SHORT_MS 3000
#define OFF_MIN_MS 250
#define OFF_MAX_MS 4000

static bool same_state(const struct epoch *a, const struct epoch *b)
{
    return a->mode == b->mode && strcmp(a->master, b->master) == 0 &&
           strcmp(a->replid, b->replid) == 0;
}

// The cache has been turned off, by whomever.
static void note_off(struct keeper_memory *m, int64_t now)
{
    if (now - m->on_since >= SHORT_MS * MS)
        m->off_wait = 0;
    else if (m->off_wait == 0)
        m->off_wait = OFF_MIN_MS * MS;
    else if (m->off_wait < OFF_MAX_MS * MS)
        m->off_wait *= 2;
}

static void note(struct keeper_memory *m, const struct keeper_view *v)
{
    bool first = m->looked_at == 0;
    if (first || v->now - m->looked_at > PAUSE_MS * MS)
        m->watching_since = v->now;
    m->looked_at = v->now;
    if (first || !same_state(&m->epoch, v->epoch)) {
        bool off = v->epoch->mode == CACHE_OFF, was_off = m->epoch.mode == CACHE_OFF;
        if (!first && off && !was_off)
            note_off(m, v->now);
        if (off != was_off)
            m->on_since = v->now;
        if (first)
            m->on_since = v->now - SHORT_MS * MS;
        m->state_since = v->now;
        m->well_since = 0;
    }
    m->epoch = *v->epoch;
}

static bool is_usable(const struct keeper_view *v, const struct keeper_node *node)
{
    return node->is_master && node->asked_at > 0 &&
           node->asked_at >= v->now - v->patience;
}

// The node at addr if it says itself that it is a master, and can be reached.
static const struct keeper_node *usable_at(const struct keeper_view *v, const char *addr)
{
    for (size_t i = 0; i < v->n_nodes; i++)
        if (strcmp(v->nodes[i].addr, addr) == 0)
            return is_usable(v, &v->nodes[i]) ? &v->nodes[i] : NULL;
    return NULL;
}

// The newest configuration that a sentinel has told of lately.
static const struct sentinel_word *best_word(const struct keeper_view *v)
{
    const struct sentinel_word *best = NULL;
    for (size_t i = 0; i < v->n_sentinels; i++) {
        const struct sentinel_word *word = &v->words[i];
        if (word->asked_at == 0 || word->asked_at < v->now - WORD_MS * MS)
            continue;
        if (!best || word->config_epoch > best->config_epoch ||
            (word->config_epoch == best->config_epoch && word->asked_at > best->asked_at))
            best = word;
    }
    return best;
}

static const struct keeper_node *the_only_usable(const struct keeper_view *v)
{
    const struct keeper_node *found = NULL;
    for (size_t i = 0; i < v->n_nodes; i++) {
        if (!is_usable(v, &v->nodes[i]))
            continue;
        if (found)
            return NULL;
        found = &v->nodes[i];
    }
    return found;
}

// The master there should be, NULL for none; *known: since when that is known.
//
// Whom Sentinel names, once he is a master; until then the epoch's master for as long as
// it is one. Without Sentinel then the one that is configured as such. At last the only
// one there is: a node that Sentinel has just promoted, and it does not know yet that it
// succeeded.
static const struct keeper_node *find_master(const struct keeper_view *v, int64_t *known)
{
    const struct sentinel_word *word = best_word(v);
    const struct keeper_node *named = word ? usable_at(v, word->master) : NULL;
    const struct keeper_node *found = named;
    if (!found)
        found = usable_at(v, v->epoch->master);
    if (!found && !word && is_usable(v, &v->nodes[0]))
        found = &v->nodes[0];
    if (!found)
        found = the_only_usable(v);
    if (found)
        *known = found->asked_at;
    if (named && word->asked_at < named->asked_at)
        *known = word->asked_at;
    return found;
}

static struct keeper_move stay(void)
{
    return (struct keeper_move){.why = NULL};
}

static struct keeper_move to_master(const struct keeper_node *node, const char *why)
{
    return (struct keeper_move){CACHE_MASTER, node->addr, node->replid, why};
}

static struct keeper_move to_mode(const struct keeper_view *v, enum cache_mode mode,
                                  const char *why)
{
    return (struct keeper_move){mode, v->epoch->master, v->epoch->replid, why};
}

// Other nodes than the epoch's master in this state.
static size_t count(const struct keeper_view *v, enum replica_state state)
{
    size_t n = 0;
    for (size_t i = 0; i < v->n_nodes; i++)
        n += strcmp(v->nodes[i].addr, v->epoch->master) != 0 &&
             v->nodes[i].replica == state;
    return n;
}

// The epoch's master is there: may hits be spread over the replicas?
static struct keeper_move with_master(struct keeper_memory *m,
                                      const struct keeper_view *v)
{
    bool well =
        v->n_nodes > 1 && !v->unknown_replica && count(v, REPLICA_WELL) == v->n_nodes - 1;
    if (!well)
        m->well_since = 0;
    else if (m->well_since == 0)
        m->well_since = v->now;
    if (v->epoch->mode == CACHE_MASTER)
        return well && v->now - m->well_since >= SETTLE_MS * MS
                   ? to_mode(v, CACHE_REPLICAS, "all replicas are well")
                   : stay();
    if (v->n_nodes == 1)
        return to_mode(v, CACHE_MASTER, "there are no replicas");
    if (v->unknown_replica)
        return to_mode(v, CACHE_MASTER, "an unknown replica is attached");
    if (count(v, REPLICA_MISSING) > 0)
        return to_mode(v, CACHE_MASTER, "a replica is missing");
    return stay();
}

static struct keeper_move with_cache(struct keeper_memory *m, const struct keeper_view *v)
{
    int64_t known = 0;
    const struct keeper_node *master = find_master(v, &known);
    if (!master) {
        int64_t since =
            m->master_at > m->watching_since ? m->master_at : m->watching_since;
        return v->epoch->mode != CACHE_OFF && v->now - since > v->patience
                   ? to_mode(v, CACHE_OFF, "no master can be reached")
                   : stay();
    }
    m->master_at = master->asked_at;
    // What was seen before the epoch became what it is may be what has just been left.
    bool fresh = known >= m->state_since;
    if (strcmp(master->addr, v->epoch->master) != 0)
        return fresh ? to_master(master, *v->epoch->master ? "another node is the master"
                                                           : "a master was found")
                     : stay();
    if (strcmp(master->replid, v->epoch->replid) != 0)
        return fresh ? to_master(master, "the master has begun anew") : stay();
    if (v->epoch->mode == CACHE_OFF)
        return fresh && v->now - m->state_since >= m->off_wait
                   ? to_master(master, "the master can be reached")
                   : stay();
    return with_master(m, v);
}

struct keeper_move keeper_decide(struct keeper_memory *m, const struct keeper_view *v)
{
    note(m, v);
    struct keeper_move move = stay();
    if (v->cache)
        move = with_cache(m, v);
    else if (v->epoch->mode != CACHE_OFF)
        move = to_mode(v, CACHE_OFF, "CACHE=off");
    if (!move.why && v->restarted)
        move = to_mode(v, v->epoch->mode, "PostgreSQL was started again");
    return move;
}
