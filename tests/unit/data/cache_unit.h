// What the tests of cache.c share: fake nodes, and a record of what they were asked. A
// test that includes it has at its top
//   // wrap: redis_call redis_eval redis_send redis_is_up hold_commit lease_now
//   // wrap: epoch_known redis_gather loop_turn
#pragma once

#include "metrics_unit.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/mem.h"
#include "data/cache.h"
#include "data/epoch.h"
#include "data/hold.h"
#include "data/lease.h"
#include "data/redis.h"
#include "data/redis_gather.h"
#include "loop/loop.h"

#define MS INT64_C(1000000)
#define REPLID "8bf315b94ae172c5c448365fba84c4059ee000f3"

// The epoch of most tests' heartbeats and values, and the newest that this process has
// read: what it has heard of older ones plays no part.
#define EPOCH 7
#define KNOWN 1000000

// Fake nodes: the master and two replicas, which answer what a test has set, and a record
// of what they were asked. All hold the same cart, and each has a heartbeat.

enum node { MASTER, REPLICA_1, REPLICA_2, NODES };

static struct config config = {
    .cache = true,
    .cache_ttl_s = 1800,
    .redis_master = {"master.invalid", "1"},
    .redis_replicas = {{"replica-1.invalid", "1"}, {"replica-2.invalid", "1"}},
    .n_redis_replicas = 2,
};

static struct {
    bool up[NODES];
    bool errs[NODES];        // up, but the call fails
    struct redis_reply cart; // what every node holds
    struct redis_reply hb[NODES];
    bool proven[NODES];       // it is the master that its heartbeat was sent to
    struct redis_reply reply; // to anything else
    struct epoch epoch;       // as this process knows it
    struct lease_clock now;
    int64_t takes_ms;  // an answer
    bool same_turn;    // of the loop, for all that comes
    struct buf asked;  // a line for each command
    struct err hold;   // what hold_commit() gives
    bool hold_set;     // and says
    struct epoch held; // and was given
} fake;

static enum node number_of(const struct redis_node *node)
{
    for (size_t i = 0; i < redis_nodes(); i++)
        if (redis_node(i) == node)
            return (enum node)i;
    fail_msg("no such node");
    return NODES;
}

static void record(const struct redis_node *node, const char *what,
                   const struct redis_arg *args, size_t n_args)
{
    buf_printf(&fake.asked, "%s%s", redis_name(node), what);
    for (size_t i = 0; i < n_args; i++) {
        buf_add_char(&fake.asked, ' ');
        if (args[i].len == strlen(lease_key()) && strcmp(args[i].data, lease_key()) == 0)
            buf_add_str(&fake.asked, "HB");
        else
            buf_add(&fake.asked, args[i].data, args[i].len);
    }
    buf_add_char(&fake.asked, '\n');
}

static struct err answer(const struct redis_node *node, struct redis_reply *reply)
{
    enum node n = number_of(node);
    fake.now.boot_ns += fake.takes_ms * MS;
    fake.now.wall_ms += fake.takes_ms;
    if (!fake.up[n] || fake.errs[n])
        return err_make(ERR_REDIS, NULL, "a fake failure");
    *reply = fake.reply;
    return err_ok();
}

// The cart, the heartbeat and the proof.
static struct err answer_proof(struct work *work, const struct redis_node *node,
                               struct redis_reply *reply)
{
    enum node n = number_of(node);
    struct redis_reply unused;
    struct err err = answer(node, &unused);
    if (err_is(err))
        return err;
    struct redis_reply *items = mem_array(work->mem, struct redis_reply, 3);
    items[0] = fake.cart;
    items[1] = fake.hb[n];
    items[2] = (struct redis_reply){.type = REDIS_INTEGER, .integer = fake.proven[n]};
    *reply = (struct redis_reply){.type = REDIS_ARRAY, .items = items, .n_items = 3};
    return err_ok();
}

struct err __wrap_redis_call(struct work *work, struct redis_node *node,
                             const struct redis_arg *args, size_t n_args,
                             struct redis_reply *reply);
struct err __wrap_redis_eval(struct work *work, struct redis_node *node,
                             const struct redis_script *script, size_t n_keys,
                             const struct redis_arg *args, size_t n_args,
                             struct redis_reply *reply);
struct err __wrap_redis_gather(struct work *work, struct redis_node *node,
                               struct redis_arg key, struct redis_arg common,
                               struct redis_reply *value, struct redis_reply *with);
uint64_t __wrap_loop_turn(void);
void __wrap_redis_send(struct redis_node *node, const struct redis_arg *args,
                       size_t n_args);
bool __wrap_redis_is_up(const struct redis_node *node);
struct err __wrap_hold_commit(struct work *work, const struct epoch *epoch,
                              const char *key, char tombstone[NONCE_MAX], bool *set);
struct lease_clock __wrap_lease_now(void);
const struct epoch *__wrap_epoch_known(void);

struct err __wrap_redis_call(struct work *work, struct redis_node *node,
                             const struct redis_arg *args, size_t n_args,
                             struct redis_reply *reply)
{
    assert_non_null(work->mem);
    record(node, "", args, n_args);
    return answer(node, reply);
}

struct err __wrap_redis_gather(struct work *work, struct redis_node *node,
                               struct redis_arg key, struct redis_arg common,
                               struct redis_reply *value, struct redis_reply *with)
{
    const struct redis_arg args[] = {redis_arg_text("MGET"), key, common};
    struct redis_reply unused;
    assert_non_null(work->mem);
    record(node, "", args, 3);
    struct err err = answer(node, &unused);
    if (err_is(err))
        return err;
    *value = fake.cart;
    *with = fake.hb[number_of(node)];
    return err_ok();
}

uint64_t __wrap_loop_turn(void)
{
    static uint64_t turn;
    return fake.same_turn ? turn : ++turn;
}

struct err __wrap_redis_eval(struct work *work, struct redis_node *node,
                             const struct redis_script *script, size_t n_keys,
                             const struct redis_arg *args, size_t n_args,
                             struct redis_reply *reply)
{
    bool reads = strstr(script->text, "proven");
    assert_non_null(work->mem);
    assert_int_equal(n_keys, reads ? 2 : 1);
    record(node,
           reads                              ? " proof"
           : strstr(script->text, "tonumber") ? " claim"
           : strstr(script->text, "'DEL'")    ? " drop"
                                              : " fill",
           args, n_args);
    return reads ? answer_proof(work, node, reply) : answer(node, reply);
}

void __wrap_redis_send(struct redis_node *node, const struct redis_arg *args,
                       size_t n_args)
{
    record(node, " send", args, n_args);
}

bool __wrap_redis_is_up(const struct redis_node *node)
{
    return fake.up[number_of(node)];
}

struct err __wrap_hold_commit(struct work *work, const struct epoch *epoch,
                              const char *key, char tombstone[NONCE_MAX], bool *set)
{
    assert_non_null(work->mem);
    nonce_put(tombstone, 'X');
    struct redis_arg args[] = {redis_arg_text(key), redis_arg_text(tombstone)};
    record(redis_master(), " hold", args, 2);
    fake.held = *epoch;
    *set = fake.hold_set;
    return fake.hold;
}

struct lease_clock __wrap_lease_now(void)
{
    return fake.now;
}

const struct epoch *__wrap_epoch_known(void)
{
    return &fake.epoch;
}

static struct work work;

static struct redis_reply text_reply(const char *text, size_t len)
{
    return (struct redis_reply){.type = REDIS_STRING, .text = text, .len = len};
}

// A heartbeat so many ms old.
static inline struct redis_reply heartbeat(int64_t number, enum cache_mode mode,
                                           int64_t age_ms)
{
    struct buf b;
    struct heartbeat hb = {number,
                           mode,
                           {fake.now.boot_ns - age_ms * MS, fake.now.wall_ms - age_ms},
                           REPLID};
    buf_init(&b, work.mem, 128);
    heartbeat_put(&b, &hb);
    return text_reply(b.data, b.len);
}

// All nodes get the same one, and this process knows of that mode.
static inline void beat(int64_t number, enum cache_mode mode)
{
    fake.epoch.number = KNOWN;
    fake.epoch.mode = mode;
    for (int i = 0; i < NODES; i++)
        fake.hb[i] = heartbeat(number, mode, 20);
}

static int setup(void **state)
{
    int failed = unit_setup(state);
    work = (struct work){.mem = talloc_new(*state)};
    config.cache = true;
    config.cache_ttl_s = 1800;
    memset(&fake, 0, sizeof fake);
    fake.now = (struct lease_clock){5000000 * MS, 1700000000000};
    for (int i = 0; i < NODES; i++)
        fake.up[i] = true;
    fake.hold_set = true;
    beat(EPOCH, CACHE_REPLICAS);
    redis_set_master(redis_node(MASTER));
    buf_init(&fake.asked, work.mem, 256);
    return failed;
}

static int teardown(void **state)
{
    talloc_free(work.mem);
    return unit_teardown(state);
}

// Once, before all tests.
static inline void cache_unit_begin(void)
{
    redis_setup(&config);
    cache_setup(&config);
}

#define CACHE_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

// What every node holds.
static inline void hold_text(const char *text, size_t len)
{
    fake.cart = text_reply(text, len);
}

static inline void hold_value(void)
{
    hold_text("V 7 8 u\n{}", 10);
}

static inline void answer_text(const char *text, size_t len)
{
    fake.reply = text_reply(text, len);
}

static inline void answer_integer(int64_t n)
{
    fake.reply = (struct redis_reply){.type = REDIS_INTEGER, .integer = n};
}

// A read of u's cart, of which only this counts.
static inline bool read_cart(void)
{
    struct cache_value value;
    struct cache_claim claim;
    return cache_read(&work, "u", &value, &claim);
}

static inline void check_asked(const char *expected)
{
    assert_string_equal(fake.asked.data, expected);
    buf_truncate(&fake.asked, 0);
}
