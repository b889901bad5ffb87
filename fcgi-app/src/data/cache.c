// Cached carts. All that a value, token or tombstone looks like is in this file.

#include "data/cache.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <talloc.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/parse.h"
#include "data/redis.h"

#define TOKEN_MS "5000"
#define TOMBSTONE_MS "10000"
#define UNWRITTEN_MS 5000LL

// One hit in so many is told to the master: its LRU sees no reads of its own.
#define TOUCH_EVERY 64U

// KEYS[1] the cart; ARGV[1] the token. Only an absent key may be claimed: a value is
// newer than what this reader saw, a tombstone's writer fills, a token's owner fills.
static struct redis_script claim_script = {
    .text =
        "return redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', " TOKEN_MS ") and 1 or 0",
};

// ARGV[1] the claim, ARGV[2] the value, ARGV[3] its life in ms.
static struct redis_script fill_script = {
    .text = "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end "
            "redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) return 1",
};

// ARGV[1] the claim.
static struct redis_script drop_script = {
    .text = "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end "
            "return redis.call('DEL', KEYS[1])",
};

// Carts whose tombstone could not be set: what the master may still hold of them is older
// than what was written since. They are deleted before the master is used again; when
// there are too many to remember, everything is.
#define OWED_MAX 4096U

static struct {
    char *user_id[OWED_MAX];
    size_t n, overflows;           // of overflows nothing else is remembered
    size_t sent_n, sent_overflows; // those the command under way pays for
} owed;

static const struct config *config;
static struct node_metrics {
    struct metric *hit, *miss, *error;
} node_metrics[REDIS_NODES_MAX]; // the master first
static struct metric *stored, *lost, *bypassed;
static unsigned next_replica, hits;
static uint64_t process_nonce, claims;

static struct metric *read_metric(const struct redis_node *node, const char *result)
{
    char labels[64];
    snprintf(labels, sizeof labels, "node=\"%s\",result=\"%s\"", redis_name(node),
             result);
    return metrics_counter("carrito_cache_reads_total",
                           "Reads of the cache by the node that answered.", labels);
}

static struct node_metrics *metrics_of(const struct redis_node *node)
{
    for (size_t i = 0; i < redis_replicas(); i++)
        if (redis_replica(i) == node)
            return &node_metrics[1 + i];
    return &node_metrics[0];
}

static struct redis_arg cart_key(void *mem, const char *user_id)
{
    return redis_arg_text(mem_printf(mem, "cart:%s", user_id));
}

static void owe(const char *user_id)
{
    if (owed.n < OWED_MAX)
        owed.user_id[owed.n++] = mem_must(talloc_strdup(NULL, user_id));
    else
        owed.overflows++;
}

static void forget_owed(size_t n)
{
    for (size_t i = 0; i < n; i++)
        talloc_free(owed.user_id[i]);
    owed.n -= n;
    memmove(owed.user_id, owed.user_id + n, owed.n * sizeof *owed.user_id);
}

// For redis_on_master(): one command after another until nothing is owed.
static bool next_owed(void *mem, bool sent, struct redis_arg *args, size_t *n_args)
{
    if (sent) {
        forget_owed(owed.sent_n);
        owed.overflows -= owed.sent_overflows;
    }
    owed.sent_n = 0;
    owed.sent_overflows = owed.overflows;
    if (owed.n == 0 && owed.overflows == 0)
        return false;
    *n_args = 1;
    args[0] = redis_arg_text(owed.overflows ? "FLUSHDB" : "UNLINK");
    if (owed.overflows)
        owed.sent_n = owed.n;
    else
        while (owed.sent_n < owed.n && *n_args < REDIS_ARGS_MAX)
            args[(*n_args)++] = cart_key(mem, owed.user_id[owed.sent_n++]);
    return true;
}

void cache_setup(const struct config *c)
{
    config = c;
    redis_add_script(&claim_script);
    redis_add_script(&fill_script);
    redis_add_script(&drop_script);
    for (size_t i = 0; i <= redis_replicas(); i++) {
        const struct redis_node *node = i ? redis_replica(i - 1) : redis_master();
        node_metrics[i] = (struct node_metrics){.hit = read_metric(node, "hit"),
                                                .miss = read_metric(node, "miss"),
                                                .error = read_metric(node, "error")};
    }
    redis_on_master(next_owed);
    const char *help =
        "Attempts to fill the cache; lost: a writer or another filler came.";
    stored = metrics_counter("carrito_cache_fills_total", help,
                             "node=\"master\",result=\"stored\"");
    lost = metrics_counter("carrito_cache_fills_total", help,
                           "node=\"master\",result=\"lost\"");
    bypassed = metrics_counter("carrito_cache_bypass_total",
                               "Reads that no Redis node could be asked about.", "");
    if (getrandom(&process_nonce, sizeof process_nonce, 0) != sizeof process_nonce)
        process_nonce = (uint64_t)getpid();
    next_replica = (unsigned)(process_nonce % REDIS_NODES_MAX);
}

bool cache_on(void)
{
    return config->cache;
}

// The nodes that a read may ask, in the order in which to ask: the replicas, beginning
// with another one each time, then the master.
static size_t read_order(struct redis_node *order[REDIS_NODES_MAX])
{
    size_t n = 0, replicas = redis_replicas();
    unsigned first = next_replica++;
    for (size_t i = 0; i < replicas; i++)
        order[n++] = redis_replica((first + i) % replicas);
    order[n++] = redis_master();
    return n;
}

// Asks one node after another until one answers; NULL if none does.
static struct redis_node *read_any(struct work *work, const struct redis_arg *args,
                                   size_t n_args, struct redis_reply *reply)
{
    struct redis_node *order[REDIS_NODES_MAX];
    size_t n = read_order(order);
    for (size_t i = 0; i < n; i++) {
        if (!redis_is_up(order[i]))
            continue;
        struct err err = redis_call(work, order[i], args, n_args, reply);
        if (!err_is(err)) {
            work->redis_node = redis_name(order[i]);
            return order[i];
        }
        metrics_add(metrics_of(order[i])->error, 1);
    }
    return NULL;
}

// V <version> <user_id>\n<json>
static bool value_decode(const struct redis_reply *reply, const char *user_id,
                         struct cache_value *value)
{
    if (reply->type != REDIS_STRING || reply->len < 2 ||
        memcmp(reply->text, "V ", 2) != 0)
        return false;
    const char *end = reply->text + reply->len;
    const char *version = reply->text + 2;
    const char *id = memchr(version, ' ', (size_t)(end - version));
    const char *json = id ? memchr(id, '\n', (size_t)(end - id)) : NULL;
    int64_t number;
    if (!json || !parse_int(version, (size_t)(id - version), 0, INT64_MAX, &number))
        return false;
    id++;
    if (strlen(user_id) != (size_t)(json - id) ||
        memcmp(id, user_id, (size_t)(json - id)) != 0)
        return false;
    json++;
    if (json == end)
        return false;
    *value = (struct cache_value){number, json, (size_t)(end - json)};
    return true;
}

static void touch(struct redis_arg key)
{
    if (hits++ % TOUCH_EVERY == 0) {
        struct redis_arg args[] = {redis_arg_text("TOUCH"), key};
        redis_send(redis_master(), args, 2);
    }
}

bool cache_read(struct work *work, const char *user_id, struct cache_value *value)
{
    if (!config->cache) {
        work->cache = WORK_CACHE_BYPASS;
        return false;
    }
    struct redis_arg key = cart_key(work->mem, user_id);
    struct redis_arg args[] = {redis_arg_text("GET"), key};
    struct redis_reply reply;
    struct redis_node *node = read_any(work, args, 2, &reply);
    if (!node) {
        work->cache = WORK_CACHE_BYPASS;
        metrics_add(bypassed, 1);
        return false;
    }
    if (value_decode(&reply, user_id, value)) {
        work->cache = WORK_CACHE_HIT;
        metrics_add(metrics_of(node)->hit, 1);
        if (node != redis_master())
            touch(key);
        return true;
    }
    work->cache = WORK_CACHE_MISS;
    metrics_add(metrics_of(node)->miss, 1);
    return false;
}

static void claim_name(struct cache_claim *claim, char kind)
{
    claim->held = false;
    snprintf(claim->nonce, sizeof claim->nonce, "%c %016llx%llx", kind,
             (unsigned long long)process_nonce, (unsigned long long)claims++);
}

void cache_claim_token(struct work *work, const char *user_id, struct cache_claim *claim)
{
    claim_name(claim, 'T');
    if (!config->cache)
        return;
    struct redis_arg token = redis_arg_text(claim->nonce);
    struct redis_reply reply;
    struct err err = redis_eval(work, redis_master(), &claim_script,
                                cart_key(work->mem, user_id), &token, 1, &reply);
    claim->held = !err_is(err) && reply.type == REDIS_INTEGER && reply.integer == 1;
}

void cache_claim_tombstone(struct work *work, const char *user_id,
                           struct cache_claim *claim)
{
    claim_name(claim, 'X');
    if (!config->cache)
        return;
    struct redis_arg args[] = {redis_arg_text("SET"), cart_key(work->mem, user_id),
                               redis_arg_text(claim->nonce), redis_arg_text("PX"),
                               redis_arg_text(TOMBSTONE_MS)};
    struct redis_reply reply;
    struct err err = redis_call(work, redis_master(), args, 5, &reply);
    claim->held = !err_is(err);
    if (!claim->held) {
        owe(user_id);
        redis_drop(redis_master(), "a tombstone could not be set");
    } else if (!work->redis_node) {
        work->redis_node = redis_name(redis_master());
    }
}

void cache_fill(struct work *work, const char *user_id, const struct cache_claim *claim,
                const struct cache_value *value)
{
    if (!claim->held)
        return;
    struct buf text;
    buf_init(&text, work->mem, value->len + 128);
    buf_printf(&text, "V %lld %s\n", (long long)value->version, user_id);
    buf_add(&text, value->json, value->len);
    char life[24];
    // Nobody has written the cart yet: whoever does so by other means than this program
    // is not to wait for half an hour.
    snprintf(life, sizeof life, "%lld",
             value->version ? config->cache_ttl_s * 1000LL : UNWRITTEN_MS);
    struct redis_arg args[] = {
        redis_arg_text(claim->nonce), {text.data, text.len}, redis_arg_text(life)};
    struct redis_reply reply;
    struct err err = redis_eval(work, redis_master(), &fill_script,
                                cart_key(work->mem, user_id), args, 3, &reply);
    bool done = !err_is(err) && reply.type == REDIS_INTEGER && reply.integer == 1;
    metrics_add(done ? stored : lost, 1);
}

void cache_drop(struct work *work, const char *user_id, const struct cache_claim *claim)
{
    if (!claim->held)
        return;
    struct redis_arg nonce = redis_arg_text(claim->nonce);
    struct redis_reply reply;
    // A claim that cannot be taken back expires.
    struct err err = redis_eval(work, redis_master(), &drop_script,
                                cart_key(work->mem, user_id), &nonce, 1, &reply);
    (void)err;
}

bool cache_get_plain(struct work *work, const char *key, const char **text, size_t *len)
{
    work->cache = WORK_CACHE_BYPASS;
    if (!config->cache)
        return false;
    struct redis_arg args[] = {redis_arg_text("GET"), redis_arg_text(key)};
    struct redis_reply reply;
    if (!read_any(work, args, 2, &reply))
        return false;
    work->cache = WORK_CACHE_MISS;
    if (reply.type != REDIS_STRING)
        return false;
    work->cache = WORK_CACHE_HIT;
    *text = reply.text;
    *len = reply.len;
    return true;
}

void cache_set_plain(struct work *work, const char *key, const char *text, size_t len,
                     int64_t ttl_ms)
{
    if (!config->cache)
        return;
    char life[24];
    snprintf(life, sizeof life, "%lld", (long long)ttl_ms);
    struct redis_arg args[] = {redis_arg_text("SET"),
                               redis_arg_text(key),
                               {text, len},
                               redis_arg_text("PX"),
                               redis_arg_text(life)};
    struct redis_reply reply;
    struct err err = redis_call(work, redis_master(), args, 5, &reply);
    (void)err; // the next request finds nothing and asks the database
}
