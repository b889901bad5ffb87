// The Redis nodes: two connections to each per process, shared by all coroutines.
//
// Each node has a circuit breaker (Nygard, "Release It!"): a node that answered late,
// broke its connection or says that it cannot serve is left alone at once, for every
// request, and probed again after REDIS_RETRY_MS until it serves. After a late answer the
// connection is dropped: that answer would else be taken for the next command's.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/config.h"
#include "base/err.h"
#include "base/work.h"

struct redis_node;

#define REDIS_ARGS_MAX 72

// The master and its replicas.
#define REDIS_NODES_MAX (1 + CONFIG_REPLICAS_MAX)

enum redis_type { REDIS_NIL, REDIS_STRING, REDIS_INTEGER, REDIS_ARRAY };

// A copy of an answer, on the caller's memory.
struct redis_reply {
    enum redis_type type;
    int64_t integer;
    const char *text; // a string, NUL-terminated besides
    size_t len;
    struct redis_reply *items; // an array's
    size_t n_items;
};

// One argument: len bytes, which are never looked into.
struct redis_arg {
    const char *data;
    size_t len;
};

// A Lua script; sha is filled in when a connection has loaded it.
struct redis_script {
    const char *text;
    char sha[41];
    struct redis_script *next;
};

// Takes the configuration, which must outlive all use, and registers the metrics.
void redis_setup(const struct config *config);

// Starts to connect to all nodes; they come up one by one. After metrics_open().
void redis_start(void);

// Has script loaded on every later connection. Before redis_start().
void redis_add_script(struct redis_script *script);

// The configured nodes by number from 0, REDIS_MASTER first: redis_nodes() of them.
struct redis_node *redis_node(size_t number);
size_t redis_nodes(void);

// The node at that address, "host:port" as configured; NULL if there is none.
struct redis_node *redis_find(const char *addr);

// Which node is written to: at first the one configured as REDIS_MASTER, later whichever
// one the epoch names.
struct redis_node *redis_master(void);
void redis_set_master(struct redis_node *node);

// A second connection to the same node, with a breaker of its own, for commands that may
// block (WAIT) and for asking again on another connection. It has the same name.
struct redis_node *redis_second(const struct redis_node *node);

// The node's name in logs, metrics and Server-Timing: master, replica-1, replica-2. It
// tells the place in the configuration, which stays; the role may move.
const char *redis_name(const struct redis_node *node);

// The node's address, "host:port" as configured.
const char *redis_addr(const struct redis_node *node);

// Whether the breaker is closed: the node is connected and has served its last command.
bool redis_is_up(const struct redis_node *node);

// REDIS_TIMEOUT_MS in ns: every command has ended so long after it was sent.
int64_t redis_timeout_ns(void);

// Sends one command and waits for its answer, REDIS_TIMEOUT_MS or until the work's
// deadline, which is not the node's fault; the wait counts as work->redis_ns. Errors:
// ERR_REDIS, with detail: the node is down, was late, or refused the command. Then
// whether the command took effect is unknown. Coroutines only.
struct err redis_call(struct work *work, struct redis_node *node,
                      const struct redis_arg *args, size_t n_args,
                      struct redis_reply *reply) must_check;

// Where one item of redis_mget()'s answer goes: its text is copied to `mem`, unless that
// is NULL when the answer comes.
struct redis_item {
    void *mem;
    struct redis_reply reply;
};

// MGET of so many keys, at most REDIS_ARGS_MAX - 1; else as redis_call(). `items`, one
// for each key, must live until the function returns.
struct err redis_mget(struct work *work, struct redis_node *node,
                      const struct redis_arg *keys, size_t n_keys,
                      struct redis_item *items) must_check;

// Runs script on the node: n_keys of the n_args arguments, the first ones, are keys. As
// redis_call().
struct err redis_eval(struct work *work, struct redis_node *node,
                      const struct redis_script *script, size_t n_keys,
                      const struct redis_arg *args, size_t n_args,
                      struct redis_reply *reply) must_check;

// The same in two halves, so that several commands are on their way at once. redis_ask()
// and redis_ask_eval() send; NULL if the node is down. redis_answer() waits until
// `deadline` (clock_mono_ns()) for the answer, which is on work->mem; it must be called
// once for each asked command, in any order, by the coroutine that asked. late_is_fault:
// an answer that does not come in time is the node's failure. A script that the node does
// not know is an error here (NOSCRIPT).
struct redis_asked;
struct redis_asked *redis_ask(struct work *work, struct redis_node *node,
                              const struct redis_arg *args, size_t n_args);
struct redis_asked *redis_ask_eval(struct work *work, struct redis_node *node,
                                   const struct redis_script *script, size_t n_keys,
                                   const struct redis_arg *args, size_t n_args);
struct err redis_answer(struct work *work, struct redis_asked *asked, int64_t deadline,
                        bool late_is_fault, struct redis_reply *reply) must_check;

// Sends one command whose answer nobody waits for; does nothing while the node is down.
void redis_send(struct redis_node *node, const struct redis_arg *args, size_t n_args);

// An argument of a NUL-terminated string.
struct redis_arg redis_arg_text(const char *text);
