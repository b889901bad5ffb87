// Locks by name: a hash table that holds only the names locked now, each with its queue.

#include "loop/keylock.h"

#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/mem.h"
#include "loop/co.h"

#define BUCKETS 1024U

struct waiter {
    struct co *co;
    bool owns;
    struct waiter *next;
};

struct held {
    struct held *next;
    struct waiter *first, **last;
    unsigned n_waiting;
    char key[];
};

struct keylock {
    unsigned waiters_max;
    struct held *buckets[BUCKETS];
};

// FNV-1a
static struct held **bucket_of(struct keylock *locks, const char *key)
{
    uint32_t hash = 2166136261U;
    for (const char *p = key; *p; p++)
        hash = (hash ^ (unsigned char)*p) * 16777619U;
    return &locks->buckets[hash % BUCKETS];
}

static struct held **find(struct keylock *locks, const char *key)
{
    struct held **at = bucket_of(locks, key);
    while (*at && strcmp((*at)->key, key) != 0)
        at = &(*at)->next;
    return at;
}

struct keylock *keylock_new(void *mem, unsigned waiters_max)
{
    struct keylock *locks = mem_zero(mem, struct keylock);
    locks->waiters_max = waiters_max;
    return locks;
}

static void leave_queue(struct held *held, struct waiter *waiter)
{
    struct waiter **at = &held->first;
    while (*at != waiter)
        at = &(*at)->next;
    *at = waiter->next;
    if (!*at)
        held->last = at;
    held->n_waiting--;
}

bool keylock_take(struct keylock *locks, const char *key, int64_t deadline)
{
    struct held **at = find(locks, key);
    if (!*at) {
        size_t len = strlen(key) + 1;
        struct held *held = mem_must(talloc_size(locks, sizeof *held + len));
        *held = (struct held){.last = &held->first};
        memcpy(held->key, key, len);
        *at = held;
        return true;
    }
    struct held *held = *at;
    if (held->n_waiting == locks->waiters_max)
        return false;
    struct waiter me = {.co = co_self()};
    held->n_waiting++;
    *held->last = &me;
    held->last = &me.next;
    while (!me.owns && co_wait(deadline)) {
    }
    if (!me.owns)
        leave_queue(held, &me);
    return me.owns;
}

void keylock_give(struct keylock *locks, const char *key)
{
    struct held **at = find(locks, key);
    struct held *held = *at;
    if (!held)
        abort(); // given back twice
    struct waiter *heir = held->first;
    if (!heir) {
        *at = held->next;
        talloc_free(held);
        return;
    }
    held->first = heir->next;
    if (!held->first)
        held->last = &held->first;
    held->n_waiting--;
    heir->owns = true;
    co_wake(heir->co);
}
