// Reads that are asked in one turn of the loop, gathered into one MGET for each node.
//
// Under load a turn brings many requests. One command for all of them costs a node, and
// us, a fraction of what one for each would: its parsing, its reply, a key that all want.
#pragma once

#include "data/redis.h"

// Reads `key` and `common` of the node, both at the same moment, with whatever else this
// turn's coroutines read of it together with the same `common`. *value is on work->mem;
// the text of *with is good until the coroutine waits next. Errors are those of
// redis_call(): a node that does not answer within REDIS_TIMEOUT_MS is dropped. `common`
// must live for ever. Coroutines only.
struct err redis_gather(struct work *work, struct redis_node *node, struct redis_arg key,
                        struct redis_arg common, struct redis_reply *value,
                        struct redis_reply *with) must_check;
