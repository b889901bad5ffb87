// What the tests of cache.c share: fake nodes, and a record of what they were asked. A
// test that includes it has at its top
//   // wrap: redis_call redis_eval redis_send redis_is_up redis_replicas redis_drop
//   // wrap: redis_on_master
#pragma once

#include "metrics_unit.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/mem.h"
#include "data/cache.h"
#include "data/redis.h"

// Fake nodes: the master and two replicas, which answer what a test has set, and a record
// of what they were asked.

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
    bool errs[NODES]; // up, but the call fails
    struct redis_reply reply;
    size_t replicas;
    struct buf asked; // a line for each command
    bool (*greet)(void *mem, bool sent, struct redis_arg *args, size_t *n_args);
} fake;

static enum node number_of(const struct redis_node *node)
{
    return node == redis_master()     ? MASTER
           : node == redis_replica(0) ? REPLICA_1
                                      : REPLICA_2;
}

static void record(const struct redis_node *node, const char *what,
                   const struct redis_arg *args, size_t n_args)
{
    buf_printf(&fake.asked, "%s%s", redis_name(node), what);
    for (size_t i = 0; i < n_args; i++) {
        buf_add_char(&fake.asked, ' ');
        buf_add(&fake.asked, args[i].data, args[i].len);
    }
    buf_add_char(&fake.asked, '\n');
}

static struct err answer(const struct redis_node *node, struct redis_reply *reply)
{
    enum node n = number_of(node);
    if (!fake.up[n] || fake.errs[n])
        return err_make(ERR_REDIS, NULL, "a fake failure");
    *reply = fake.reply;
    return err_ok();
}

struct err __wrap_redis_call(struct work *work, struct redis_node *node,
                             const struct redis_arg *args, size_t n_args,
                             struct redis_reply *reply);
struct err __wrap_redis_eval(struct work *work, struct redis_node *node,
                             const struct redis_script *script, struct redis_arg key,
                             const struct redis_arg *args, size_t n_args,
                             struct redis_reply *reply);
void __wrap_redis_send(struct redis_node *node, const struct redis_arg *args,
                       size_t n_args);
bool __wrap_redis_is_up(const struct redis_node *node);
size_t __wrap_redis_replicas(void);
void __wrap_redis_drop(struct redis_node *node, const char *why);
void __wrap_redis_on_master(bool (*next)(void *mem, bool sent, struct redis_arg *args,
                                         size_t *n_args));

struct err __wrap_redis_call(struct work *work, struct redis_node *node,
                             const struct redis_arg *args, size_t n_args,
                             struct redis_reply *reply)
{
    assert_non_null(work->mem);
    record(node, "", args, n_args);
    return answer(node, reply);
}

struct err __wrap_redis_eval(struct work *work, struct redis_node *node,
                             const struct redis_script *script, struct redis_arg key,
                             const struct redis_arg *args, size_t n_args,
                             struct redis_reply *reply)
{
    struct redis_arg all[8] = {key};
    assert_non_null(work->mem);
    assert_true(n_args < LENGTH(all));
    for (size_t i = 0; i < n_args; i++)
        all[1 + i] = args[i];
    bool claims = strstr(script->text, "'NX', 'PX', 5000");
    record(node,
           claims                          ? " claim"
           : strstr(script->text, "'DEL'") ? " drop"
                                           : " fill",
           all, 1 + n_args);
    return answer(node, reply);
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

size_t __wrap_redis_replicas(void)
{
    return fake.replicas;
}

void __wrap_redis_drop(struct redis_node *node, const char *why)
{
    assert_non_null(why);
    record(node, " dropped", NULL, 0);
}

void __wrap_redis_on_master(bool (*next)(void *mem, bool sent, struct redis_arg *args,
                                         size_t *n_args))
{
    fake.greet = next;
}

static struct work work;

static int setup(void **state)
{
    int failed = unit_setup(state);
    config.cache = true;
    config.cache_ttl_s = 1800;
    for (int i = 0; i < NODES; i++) {
        fake.up[i] = true;
        fake.errs[i] = false;
    }
    fake.replicas = 2;
    work = (struct work){.mem = talloc_new(*state)};
    buf_init(&fake.asked, work.mem, 256);
    fake.reply = (struct redis_reply){.type = REDIS_NIL};
    // What an earlier test's tombstones owe is paid.
    struct redis_arg args[REDIS_ARGS_MAX];
    size_t n_args;
    for (bool sent = false; fake.greet(work.mem, sent, args, &n_args); sent = true) {
    }
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
    fake.replicas = 2;
    redis_setup(&config);
    cache_setup(&config);
}

#define CACHE_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

static inline void answer_text(const char *text, size_t len)
{
    fake.reply = (struct redis_reply){.type = REDIS_STRING, .text = text, .len = len};
}

static inline void answer_integer(int64_t n)
{
    fake.reply = (struct redis_reply){.type = REDIS_INTEGER, .integer = n};
}

static inline void check_asked(const char *expected)
{
    assert_string_equal(fake.asked.data, expected);
    buf_truncate(&fake.asked, 0);
}
