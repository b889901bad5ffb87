// hiredis on the loop, for redis.c alone: its events, its replies.
#pragma once

#include <ev.h>
#include <hiredis/async.h>
#include <stdbool.h>

#include "data/redis.h"

// A connection's watchers. Commands are not sent one by one: what a turn's coroutines
// wrote leaves in one write when the turn ends.
struct redis_wire {
    redisAsyncContext *ac;
    ev_io readable, writable;
    bool dirty; // in the list of connections with something to send
    struct redis_wire *next_dirty;
};

// Puts ac's events under the loop, through wire.
void redis_wire_attach(struct redis_wire *wire, redisAsyncContext *ac);

// Copies an answer, all of it, to mem; errors inside arrays become REDIS_NIL.
void redis_wire_copy(void *mem, const redisReply *from, struct redis_reply *to);
