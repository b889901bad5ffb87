// The Redis nodes: one connection to each per process, shared by all coroutines.
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

#define REDIS_ARGS_MAX 16

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

// Has script loaded on every later connection to the master. Before redis_start().
void redis_add_script(struct redis_script *script);

// Has next asked for commands to send each time the master has been connected, before it
// is used for anything else. next fills in args (at most REDIS_ARGS_MAX) on mem and
// returns true, or returns false when there is nothing to send; sent says whether the
// command before was answered on this connection. One that fails fails the connection.
void redis_on_master(bool (*next)(void *mem, bool sent, struct redis_arg *args,
                                  size_t *n_args));

// Drops the connection of a node that is up, to begin anew on another one.
void redis_drop(struct redis_node *node, const char *why);

struct redis_node *redis_master(void);

// Replicas by number from 0; redis_replicas() of them.
struct redis_node *redis_replica(size_t number);
size_t redis_replicas(void);

// The node's name in logs, metrics and Server-Timing: master, replica-1, replica-2.
const char *redis_name(const struct redis_node *node);

// Whether the breaker is closed: the node is connected and has served its last command.
bool redis_is_up(const struct redis_node *node);

// Sends one command and waits for its answer, REDIS_TIMEOUT_MS or until the work's
// deadline, which is not the node's fault; the wait counts as work->redis_ns. Errors:
// ERR_REDIS, with detail: the node is down, was late, or refused the command. Then
// whether the command took effect is unknown. Coroutines only.
struct err redis_call(struct work *work, struct redis_node *node,
                      const struct redis_arg *args, size_t n_args,
                      struct redis_reply *reply) must_check;

// Runs script on the node with one key and n_args more arguments. As redis_call().
struct err redis_eval(struct work *work, struct redis_node *node,
                      const struct redis_script *script, struct redis_arg key,
                      const struct redis_arg *args, size_t n_args,
                      struct redis_reply *reply) must_check;

// Sends one command whose answer nobody waits for; does nothing while the node is down.
void redis_send(struct redis_node *node, const struct redis_arg *args, size_t n_args);

// An argument of a NUL-terminated string.
struct redis_arg redis_arg_text(const char *text);
