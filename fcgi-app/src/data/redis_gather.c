// Gathered reads. Each batch has a coroutine, made by the first reader: it comes after
// all that are ready now, so when it runs the turn's other readers have joined.
//
// Invariant: a batch is in `open` from its first reader until its coroutine runs; it
// lives until its readers have run with their answers. A reader that gives up takes
// itself and its memory out.

#include "data/redis_gather.h"

#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "base/mem.h"
#include "loop/co.h"

// More begin another batch: so many of the largest carts are 6 MB.
#define READERS_MAX 64

struct batch {
    struct redis_node *node;
    struct co *readers[READERS_MAX]; // NULL: it has given up
    struct redis_arg keys[READERS_MAX + 1];
    struct redis_item items[READERS_MAX + 1]; // the last is the common one
    size_t n_readers;
    bool answered;
    struct err err;
    struct batch *next;
};

static struct batch *open;

static void leave_open(struct batch *batch)
{
    struct batch **at = &open;
    while (*at != batch)
        at = &(*at)->next;
    *at = batch->next;
}

static void run_batch(void *arg)
{
    struct batch *batch = arg;
    size_t n = batch->n_readers;
    leave_open(batch);
    batch->keys[n] = batch->keys[READERS_MAX];
    batch->items[n].mem = batch;
    struct work work = {.mem = batch, .deadline = CO_FOREVER};
    batch->err = redis_mget(&work, batch->node, batch->keys, n + 1, batch->items);
    batch->answered = true;
    for (size_t i = 0; i < n; i++)
        if (batch->readers[i])
            co_wake(batch->readers[i]);
    co_give_way();
    talloc_free(batch);
}

// The batch that the next reader joins.
static struct batch *join(struct redis_node *node, struct redis_arg common)
{
    for (struct batch *b = open; b; b = b->next)
        if (b->node == node && b->n_readers < READERS_MAX &&
            b->keys[READERS_MAX].data == common.data)
            return b;
    struct batch *batch = mem_new(NULL, struct batch);
    batch->node = node;
    batch->keys[READERS_MAX] = common;
    batch->n_readers = 0;
    batch->answered = false;
    batch->next = open;
    open = batch;
    co_start(run_batch, batch);
    return batch;
}

struct err redis_gather(struct work *work, struct redis_node *node, struct redis_arg key,
                        struct redis_arg common, struct redis_reply *value,
                        struct redis_reply *with)
{
    int64_t begun = clock_mono_ns();
    if (!redis_is_up(node))
        return err_make(ERR_REDIS, NULL, "the node is down");
    if (work->deadline <= begun)
        return err_make(ERR_REDIS, NULL, "no time was left to ask");
    struct batch *batch = join(node, common);
    size_t place = batch->n_readers++;
    batch->readers[place] = co_self();
    batch->keys[place] = key;
    batch->items[place].mem = work->mem;
    // The batch ends in time by itself: a timer is for those who have less.
    int64_t until = work->deadline;
    if (until > begun + 2 * redis_timeout_ns())
        until = CO_FOREVER;
    while (!batch->answered && co_wait(until)) {
    }
    work->redis_ns += clock_mono_ns() - begun;
    if (!batch->answered) {
        batch->readers[place] = NULL;
        batch->keys[place] = common; // its own may go before the command does
        batch->items[place].mem = NULL;
        return err_make(ERR_REDIS, NULL, "no answer within the deadline");
    }
    if (err_is(batch->err))
        return err_make(ERR_REDIS, NULL, mem_printf(work->mem, "%s", batch->err.detail));
    *value = batch->items[place].reply;
    *with = batch->items[batch->n_readers].reply;
    return err_ok();
}
