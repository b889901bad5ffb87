// Cached carts. All that a value, token or tombstone looks like is in this file.

#include "data/cache.h"

#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/parse.h"
#include "data/hold.h"
#include "data/lease.h"
#include "data/nonce.h"
#include "data/redis.h"
#include "data/redis_gather.h"
#include "loop/loop.h"

#define TOKEN_MS "5000"

// As long as heartbeats are; a longer one is read anew each time.
#define HEARTBEAT_MAX 192

// One hit in so many is told to the master: its LRU sees no reads of its own.
#define TOUCH_EVERY 64U

// KEYS the cart and the heartbeat. Read on the node that mode master believes to be the
// master: the third answer says whether it is, and the one the heartbeat was sent to.
static struct redis_script master_read_script = {
    .text = "local hb = redis.call('GET', KEYS[2]) or '' "
            "local info = redis.call('INFO', 'replication') "
            "local proven = string.find(info, 'role:master', 1, true) and "
            "string.find(info, 'master_replid:' .. (string.match(hb, '%S+$') or '-'), "
            "1, true) "
            "return {redis.call('GET', KEYS[1]), hb, proven and 1 or 0}",
};

// KEYS[1] the cart; ARGV[1] the token, ARGV[2] the heartbeat's epoch. A value of this
// epoch is newer than what this reader saw, a tombstone's writer fills, a token's owner
// fills; a value of an older epoch can be nobody's hit any more.
static struct redis_script claim_script = {
    .text = "local v = redis.call('GET', KEYS[1]) "
            "if v and string.sub(v, 1, 2) ~= 'V ' then return 0 end "
            "local epoch = v and tonumber(string.match(v, '^V (%d+) %d+ ')) "
            "if epoch and epoch >= tonumber(ARGV[2]) then return 0 end "
            "redis.call('SET', KEYS[1], ARGV[1], 'PX', " TOKEN_MS ") return 1",
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

static const struct config *config;
static struct node_metrics {
    struct metric *hit, *miss, *lapsed, *error;
} node_metrics[REDIS_NODES_MAX];
static struct metric *stored, *lost, *bypassed;
static unsigned next_replica, hits;

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
    size_t i = 0;
    while (redis_node(i) != node)
        i++;
    return &node_metrics[i];
}

static struct redis_arg cart_key(void *mem, const char *user_id)
{
    static const char prefix[] = "cart:";
    size_t len = strlen(user_id);
    char *key = mem_must(talloc_size(mem, sizeof prefix + len));
    memcpy(key, prefix, sizeof prefix - 1);
    memcpy(key + sizeof prefix - 1, user_id, len + 1);
    return (struct redis_arg){key, sizeof prefix - 1 + len};
}

void cache_setup(const struct config *c)
{
    config = c;
    redis_add_script(&master_read_script);
    redis_add_script(&claim_script);
    redis_add_script(&fill_script);
    redis_add_script(&drop_script);
    for (size_t i = 0; i < redis_nodes(); i++) {
        const struct redis_node *node = redis_node(i);
        node_metrics[i] = (struct node_metrics){.hit = read_metric(node, "hit"),
                                                .miss = read_metric(node, "miss"),
                                                .lapsed = read_metric(node, "lapsed"),
                                                .error = read_metric(node, "error")};
    }
    const char *help =
        "Attempts to fill the cache; lost: a writer or another filler came.";
    stored = metrics_counter("carrito_cache_fills_total", help,
                             "node=\"master\",result=\"stored\"");
    lost = metrics_counter("carrito_cache_fills_total", help,
                           "node=\"master\",result=\"lost\"");
    bypassed = metrics_counter("carrito_cache_bypass_total",
                               "Reads that no Redis node could be asked about.", "");
    nonce_setup();
    next_replica = (unsigned)clock_boot_ns(); // not the same one in all processes
}

bool cache_on(void)
{
    return config->cache;
}

// The nodes that a read may ask, in the order in which to ask: the replicas, beginning
// with another one in each turn of the loop that reads, then the master. A turn's reads
// begin with the same one, so that they are one command.
static size_t read_order(struct redis_node *order[REDIS_NODES_MAX])
{
    static uint64_t last_turn;
    struct redis_node *replicas[REDIS_NODES_MAX] = {NULL};
    size_t n = 0;
    uint64_t turn = loop_turn();
    if (turn != last_turn)
        next_replica++;
    last_turn = turn;
    for (size_t i = 0; i < redis_nodes(); i++)
        if (redis_node(i) != redis_master())
            replicas[n++] = redis_node(i);
    for (size_t i = 0; i < n; i++)
        order[i] = replicas[(next_replica + i) % n];
    order[n] = redis_master();
    return n + 1;
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

// V <epoch> <version> <user_id>\n<json>
static bool value_decode(const struct redis_reply *reply, const char *user_id,
                         int64_t *epoch, struct cache_value *value)
{
    if (reply->type != REDIS_STRING || reply->len < 2 ||
        memcmp(reply->text, "V ", 2) != 0)
        return false;
    const char *end = reply->text + reply->len, *number = reply->text + 2;
    const char *version = memchr(number, ' ', (size_t)(end - number));
    if (!version || !parse_int(number, (size_t)(version - number), 1, INT64_MAX, epoch))
        return false;
    version++;
    const char *id = memchr(version, ' ', (size_t)(end - version));
    const char *json = id ? memchr(id, '\n', (size_t)(end - id)) : NULL;
    int64_t parsed;
    if (!json || !parse_int(version, (size_t)(id - version), 0, INT64_MAX, &parsed))
        return false;
    id++;
    if (strlen(user_id) != (size_t)(json - id) ||
        memcmp(id, user_id, (size_t)(json - id)) != 0)
        return false;
    json++;
    if (json == end)
        return false;
    *value = (struct cache_value){parsed, json, (size_t)(end - json)};
    return true;
}

// The newest heartbeat seen: a hit reads no epoch from PostgreSQL.
static struct {
    int64_t epoch;
    enum cache_mode mode;
} heard;

// heartbeat_parse(), but most are the same text as the one before.
static bool parse(const struct redis_reply *reply, struct heartbeat *hb)
{
    static char last_text[HEARTBEAT_MAX];
    static size_t last_len;
    static struct heartbeat last;
    if (reply->type != REDIS_STRING)
        return false;
    if (last_len == 0 || reply->len != last_len ||
        memcmp(reply->text, last_text, last_len) != 0) {
        if (!heartbeat_parse(reply->text, reply->len, &last))
            return false;
        last_len = reply->len <= sizeof last_text ? reply->len : 0;
        memcpy(last_text, reply->text, last_len);
    }
    *hb = last;
    return true;
}

// Whom to ask; what the answer is worth is decided by the answer.
static enum cache_mode mode_now(void)
{
    return heard.epoch > epoch_known()->number ? heard.mode : epoch_known()->mode;
}

// What a node's answer is worth.
enum verdict { HIT, MISS, LAPSED };

// proven: master_read_script says that the node is the master. `now` is from after the
// answer: later than when the request was accepted is stricter, and earlier would take a
// heartbeat that came meanwhile for one of the future.
static enum verdict judge(const struct redis_reply *cart,
                          const struct redis_reply *heartbeat, bool proven,
                          const char *user_id, const struct lease_clock *now,
                          struct cache_value *value, int64_t *epoch)
{
    struct heartbeat hb;
    if (!parse(heartbeat, &hb))
        return LAPSED;
    if (hb.mode != CACHE_OFF)
        *epoch = hb.epoch;
    if (hb.epoch > heard.epoch) {
        heard.epoch = hb.epoch;
        heard.mode = hb.mode;
    }
    if (!lease_holds(&hb, now) || hb.mode == CACHE_OFF ||
        (hb.mode == CACHE_MASTER && !proven))
        return LAPSED;
    int64_t value_epoch;
    struct cache_value found;
    if (!value_decode(cart, user_id, &value_epoch, &found) || value_epoch != hb.epoch)
        return MISS;
    *value = found;
    return HIT;
}

// What mode master asks of the node that it believes to be the master.
static struct err ask_master(struct work *work, struct redis_node *node,
                             const struct redis_arg keys[2], struct redis_reply *cart,
                             struct redis_reply *heartbeat, bool *proven)
{
    struct redis_reply reply;
    struct err err = redis_eval(work, node, &master_read_script, 2, keys, 2, &reply);
    if (err_is(err))
        return err;
    if (reply.type != REDIS_ARRAY || reply.n_items != 3)
        return err_make(ERR_REDIS, NULL, "another answer than the script's");
    *cart = reply.items[0];
    *heartbeat = reply.items[1];
    *proven = reply.items[2].integer == 1;
    return err_ok();
}

// Asks one node for the cart and the heartbeat in one command.
static struct err ask(struct work *work, struct redis_node *node, const char *user_id,
                      enum verdict *verdict, struct cache_value *value, int64_t *epoch)
{
    struct redis_arg keys[] = {cart_key(work->mem, user_id), redis_arg_text(lease_key())};
    struct redis_reply cart = {.type = REDIS_NIL}, heartbeat = {.type = REDIS_NIL};
    struct err err;
    bool proven = false;
    if (mode_now() == CACHE_MASTER && node == redis_master())
        err = ask_master(work, node, keys, &cart, &heartbeat, &proven);
    else
        err = redis_gather(work, node, keys[0], keys[1], &cart, &heartbeat);
    struct lease_clock now = lease_now();
    if (!err_is(err))
        *verdict = judge(&cart, &heartbeat, proven, user_id, &now, value, epoch);
    return err;
}

static void touch(struct redis_arg key)
{
    if (hits++ % TOUCH_EVERY == 0) {
        struct redis_arg args[] = {redis_arg_text("TOUCH"), key};
        redis_send(redis_master(), args, 2);
    }
}

// One node after another that is up: a replica that answers decides, unless its lease has
// lapsed; then the master is asked, whose heartbeat is the freshest there is. In mode
// master only the master is asked. NULL if no node answers.
static struct redis_node *read_cart(struct work *work, const char *user_id,
                                    enum verdict *verdict, struct cache_value *value,
                                    int64_t *epoch)
{
    struct redis_node *order[REDIS_NODES_MAX], *answered = NULL;
    size_t n = read_order(order);
    size_t i = mode_now() == CACHE_MASTER ? n - 1 : 0;
    while (i < n) {
        struct redis_node *node = order[i++];
        if (!redis_is_up(node))
            continue;
        struct err err = ask(work, node, user_id, verdict, value, epoch);
        if (err_is(err)) {
            metrics_add(metrics_of(node)->error, 1);
            continue;
        }
        answered = node;
        if (*verdict != LAPSED)
            break;
        metrics_add(metrics_of(node)->lapsed, 1);
        if (i < n - 1)
            i = n - 1;
    }
    return answered;
}

bool cache_read(struct work *work, const char *user_id, struct cache_value *value,
                struct cache_claim *claim)
{
    enum verdict verdict = LAPSED;
    struct redis_node *node = NULL;
    claim->epoch = 0;
    // In mode off nobody sends heartbeats: PostgreSQL is asked, and so the next epoch
    // read.
    if (config->cache && (epoch_known()->number == 0 || mode_now() != CACHE_OFF))
        node = read_cart(work, user_id, &verdict, value, &claim->epoch);
    if (!node) {
        work->cache = WORK_CACHE_BYPASS;
        metrics_add(bypassed, config->cache);
        return false;
    }
    work->redis_node = redis_name(node);
    work->cache = verdict == HIT ? WORK_CACHE_HIT : WORK_CACHE_MISS;
    if (verdict == MISS)
        metrics_add(metrics_of(node)->miss, 1);
    if (verdict != HIT)
        return false;
    metrics_add(metrics_of(node)->hit, 1);
    if (node != redis_master())
        touch(cart_key(work->mem, user_id));
    return true;
}

bool cache_peek(struct work *work, struct redis_node *node, const char *user_id,
                struct cache_value *value, int64_t *epoch)
{
    enum verdict verdict = LAPSED;
    struct err err = ask(work, node, user_id, &verdict, value, epoch);
    return !err_is(err) && verdict == HIT;
}

void cache_claim_token(struct work *work, const char *user_id, struct cache_claim *claim)
{
    char epoch[24];
    claim->held = false;
    nonce_put(claim->nonce, 'T');
    if (claim->epoch == 0)
        return;
    snprintf(epoch, sizeof epoch, "%lld", (long long)claim->epoch);
    struct redis_arg args[] = {cart_key(work->mem, user_id), redis_arg_text(claim->nonce),
                               redis_arg_text(epoch)};
    struct redis_reply reply;
    struct err err = redis_eval(work, redis_master(), &claim_script, 1, args, 3, &reply);
    claim->held = !err_is(err) && reply.type == REDIS_INTEGER && reply.integer == 1;
}

struct err cache_hold(struct work *work, const struct epoch *epoch, const char *user_id,
                      struct cache_claim *claim)
{
    claim->held = false;
    claim->epoch = epoch->number;
    return hold_commit(work, epoch, cart_key(work->mem, user_id).data, claim->nonce,
                       &claim->held);
}

void cache_fill(struct work *work, const char *user_id, const struct cache_claim *claim,
                const struct cache_value *value)
{
    if (!claim->held)
        return;
    struct buf text;
    buf_init(&text, work->mem, value->len + 128);
    buf_printf(&text, "V %lld %lld %s\n", (long long)claim->epoch,
               (long long)value->version, user_id);
    buf_add(&text, value->json, value->len);
    char life[24];
    snprintf(life, sizeof life, "%lld", config->cache_ttl_s * 1000LL);
    struct redis_arg args[] = {cart_key(work->mem, user_id),
                               redis_arg_text(claim->nonce),
                               {text.data, text.len},
                               redis_arg_text(life)};
    struct redis_reply reply;
    struct err err = redis_eval(work, redis_master(), &fill_script, 1, args, 4, &reply);
    bool done = !err_is(err) && reply.type == REDIS_INTEGER && reply.integer == 1;
    metrics_add(done ? stored : lost, 1);
}

void cache_drop(struct work *work, const char *user_id, const struct cache_claim *claim)
{
    if (!claim->held)
        return;
    struct redis_arg args[] = {cart_key(work->mem, user_id),
                               redis_arg_text(claim->nonce)};
    struct redis_reply reply;
    // A claim that cannot be taken back expires.
    struct err err = redis_eval(work, redis_master(), &drop_script, 1, args, 2, &reply);
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
