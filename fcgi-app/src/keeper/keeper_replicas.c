// Which heartbeats each replica has acknowledged.

#include "keeper/keeper_replicas.h"

#include <string.h>

#define MS 1000000LL

// Another master, or the same one started again: nothing that was known counts.
static void begin(struct keeper_replicas *r, const char *replid)
{
    if (strcmp(r->replid, replid) == 0)
        return;
    memset(r, 0, sizeof *r);
    strncpy(r->replid, replid, sizeof r->replid - 1);
}

void keeper_replicas_sent(struct keeper_replicas *r, const char *replid, int64_t at,
                          int64_t offset)
{
    begin(r, replid);
    r->sent[r->n_sent % HEARTBEATS_KEPT].at = at;
    r->sent[r->n_sent % HEARTBEATS_KEPT].offset = offset;
    r->n_sent++;
}

// The heartbeats that are kept, oldest first, are those from here to n_sent.
static size_t first_kept(const struct keeper_replicas *r)
{
    return r->n_sent > HEARTBEATS_KEPT ? r->n_sent - HEARTBEATS_KEPT : 0;
}

// What a node that has acknowledged the stream up to `acked` is, as seen at asked_at. It
// has a heartbeat if it is beyond the offset from just before it.
static enum replica_state judge(const struct keeper_replicas *r, int64_t acked,
                                bool online, int64_t asked_at)
{
    int64_t newest = 0, waiting = INT64_MAX; // the last one it has, the first it has not
    for (size_t i = first_kept(r); i < r->n_sent; i++) {
        int64_t at = r->sent[i % HEARTBEATS_KEPT].at;
        if (acked > r->sent[i % HEARTBEATS_KEPT].offset) {
            newest = at;
        } else {
            waiting = at;
            break;
        }
    }
    if (waiting < asked_at - REPLICA_MISSING_MS * MS)
        return REPLICA_MISSING;
    return online && newest > 0 && newest >= asked_at - REPLICA_WELL_MS * MS
               ? REPLICA_WELL
               : REPLICA_BEHIND;
}

static bool is_configured(const char *addr, const struct redis_node *master)
{
    const struct redis_node *node = redis_find(addr);
    return node && node != master;
}

void keeper_replicas_heard(struct keeper_replicas *r, const struct redis_node *master,
                           const struct replication *info, int64_t asked_at)
{
    begin(r, info->replid);
    for (size_t i = 0; i < redis_nodes(); i++) {
        if (redis_node(i) == master)
            continue;
        const struct replication_listed *listed = replication_find(info, redis_node(i));
        bool online = listed && listed->online;
        if (online && listed->offset > r->nodes[i].acked)
            r->nodes[i].acked = listed->offset;
        r->nodes[i].lag = info->offset - r->nodes[i].acked;
        r->nodes[i].state = judge(r, r->nodes[i].acked, online, asked_at);
    }
    r->unknown[0] = '\0';
    for (size_t i = 0; i < info->n_listed && !r->unknown[0]; i++)
        if (!is_configured(info->listed[i].addr, master))
            memcpy(r->unknown, info->listed[i].addr, sizeof r->unknown);
}
