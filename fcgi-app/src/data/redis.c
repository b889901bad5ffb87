// The Redis nodes: owns their connections and breakers.
//
// Each connection has a coroutine that connects, logs in, probes, and then sleeps until
// the connection fails, over and over. Invariant: node->up implies node->wire.ac is
// connected; whoever meets a fault calls node_fail(), which clears up, drops the
// connection (hiredis then answers every waiting command with NULL) and wakes that
// coroutine.

#include "data/redis.h"

#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "data/redis_wire.h"
#include "loop/co.h"
#include "loop/loop.h"
#include "loop/resolve.h"

#define MS 1000000

struct redis_node {
    char name[16];
    char addr[272]; // host:port
    const struct config_addr *place;
    bool up;
    bool closing; // node_fail() is dropping the connection
    struct redis_wire wire;
    struct co *dialler; // the coroutine that keeps this node connected, while it waits
    struct metric *up_gauge, *open_gauge; // NULL on the second connection
};

// A command on its way. It is the callback's when nobody waits for it any more.
struct redis_asked {
    struct redis_node *node;
    struct co *co; // NULL: the answer is not wanted
    void *mem;
    bool answered;
    const char *error;        // on mem, or NULL
    struct redis_item *items; // of redis_mget(), where the answer goes; else NULL
    size_t n_items;
    struct redis_reply reply;
};

static const struct config *config;
static struct redis_node nodes[REDIS_NODES_MAX];   // REDIS_MASTER first
static struct redis_node seconds[REDIS_NODES_MAX]; // of each its second connection
static size_t n_nodes;
static struct redis_node *master = &nodes[0];
static struct redis_script *scripts;

// What a node answers when it cannot serve at all, as opposed to a command it refuses.
static bool means_unable(const char *error)
{
    static const char *const words[] = {"LOADING",   "MASTERDOWN", "NOAUTH",
                                        "WRONGPASS", "NOPERM",     "READONLY"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strncmp(error, words[i], strlen(words[i])) == 0)
            return true;
    return false;
}

static void show(struct redis_node *node)
{
    if (!node->up_gauge)
        return;
    metrics_set(node->up_gauge, node->up);
    metrics_set(node->open_gauge, !node->up);
}

static void node_fail(struct redis_node *node, const char *why)
{
    if (node->closing)
        return;
    if (node->up) {
        node->up = false;
        show(node);
        if (node->up_gauge)
            log_event(LOG_WARN, "redis-node-down", LOG_STR("node", node->name),
                      LOG_STR("why", why));
    }
    node->closing = true;
    if (node->wire.ac)
        redisAsyncFree(node->wire.ac);
    node->closing = false;
    if (node->dialler)
        co_wake(node->dialler);
}

static void copy_answer(struct redis_asked *call, const redisReply *reply)
{
    if (!call->items) {
        redis_wire_copy(call->mem, reply, &call->reply);
        return;
    }
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != call->n_items) {
        call->error = "another answer than MGET's";
        return;
    }
    for (size_t i = 0; i < call->n_items; i++)
        if (call->items[i].mem)
            redis_wire_copy(call->items[i].mem, reply->element[i], &call->items[i].reply);
}

static void on_reply(redisAsyncContext *ac, void *answer, void *privdata)
{
    (void)ac;
    struct redis_asked *call = privdata;
    const redisReply *reply = answer;
    if (!call->co) {
        free(call);
        return;
    }
    call->answered = true;
    if (!reply)
        call->error = "the connection was lost";
    else if (reply->type == REDIS_REPLY_ERROR)
        call->error = mem_strndup(call->mem, reply->str, reply->len);
    else
        copy_answer(call, reply);
    co_wake(call->co);
}

// Hands a command to hiredis, which calls on_answer, if given, with its answer. False
// when the connection is closing.
static bool node_send(struct redis_node *node, redisCallbackFn *on_answer, void *privdata,
                      const struct redis_arg *args, size_t n_args)
{
    const char *argv[REDIS_ARGS_MAX];
    size_t lens[REDIS_ARGS_MAX];
    for (size_t i = 0; i < n_args; i++) {
        argv[i] = args[i].data;
        lens[i] = args[i].len;
    }
    return redisAsyncCommandArgv(node->wire.ac, on_answer, privdata, (int)n_args, argv,
                                 lens) == REDIS_OK;
}

static struct redis_asked *node_ask(void *mem, struct redis_node *node,
                                    const struct redis_arg *args, size_t n_args)
{
    if (!node->wire.ac)
        return NULL;
    struct redis_asked *asked = calloc(1, sizeof *asked);
    if (!asked)
        abort();
    asked->node = node;
    asked->co = co_self();
    asked->mem = mem;
    if (node_send(node, on_reply, asked, args, n_args))
        return asked;
    free(asked);
    return NULL;
}

// to_blame: the node had its full time, so an answer that does not come is its failure.
static struct err node_answer(struct redis_asked *asked, int64_t deadline, bool to_blame,
                              struct redis_reply *reply)
{
    struct redis_node *node = asked->node;
    while (!asked->answered && co_wait(deadline)) {
    }
    if (!asked->answered) {
        asked->co = NULL;
        if (to_blame)
            node_fail(node, "no answer within the deadline");
        return err_make(ERR_REDIS, NULL, "no answer within the deadline");
    }
    const char *error = asked->error;
    if (!error)
        *reply = asked->reply;
    free(asked);
    if (!error)
        return err_ok();
    if (means_unable(error))
        node_fail(node, error);
    return err_make(ERR_REDIS, NULL, error);
}

// Sends a command and waits; up or not, as the dialler calls it before the node is up.
static struct err node_call(void *mem, struct redis_node *node, int64_t deadline,
                            bool to_blame, const struct redis_arg *args, size_t n_args,
                            struct redis_reply *reply)
{
    struct redis_asked *asked = node_ask(mem, node, args, n_args);
    if (!asked)
        return err_make(ERR_REDIS, NULL, "the connection was lost");
    return node_answer(asked, deadline, to_blame, reply);
}

// The dialler's part: from nothing to a connection that serves.

static void on_connect(const redisAsyncContext *ac, int status)
{
    (void)status; // the dialler looks at the connection's flags
    struct redis_node *node = ac->data;
    if (node->dialler)
        co_wake(node->dialler);
}

static void on_disconnect(const redisAsyncContext *ac, int status)
{
    (void)status;
    struct redis_node *node = ac->data;
    if (!node->closing)
        node_fail(node, ac->errstr ? ac->errstr : "the connection was closed");
}

// By its socket: half the work of TCP for both sides. NULL if the node has none here.
static redisAsyncContext *dial_socket(void *mem, const struct redis_node *node)
{
    const char *dir = config->redis_socket_dir;
    if (!dir || !*dir || strcmp(node->place->host, "127.0.0.1") != 0)
        return NULL;
    redisAsyncContext *ac = redisAsyncConnectUnix(
        mem_printf(mem, "%s/redis-%s.sock", dir, node->place->port));
    if (!ac)
        abort();
    if (!ac->err)
        return ac;
    redisAsyncFree(ac); // not there, or of a server that has gone
    return NULL;
}

static struct err node_dial(void *mem, struct redis_node *node, int64_t deadline)
{
    const char *address;
    struct err err = resolve_host(mem, node->place->host, deadline, &address);
    if (err_is(err))
        return err;
    redisAsyncContext *ac = dial_socket(mem, node);
    if (!ac)
        ac = redisAsyncConnect(address, atoi(node->place->port));
    if (!ac)
        abort();
    if (ac->err) {
        const char *why = mem_printf(mem, "%s", ac->errstr);
        redisAsyncFree(ac);
        return err_make(ERR_REDIS, NULL, why);
    }
    ac->data = node;
    redis_wire_attach(&node->wire, ac);
    redisAsyncSetConnectCallback(ac, on_connect);
    redisAsyncSetDisconnectCallback(ac, on_disconnect);
    while (node->wire.ac && !(node->wire.ac->c.flags & REDIS_CONNECTED))
        if (!co_wait(deadline))
            return err_make(ERR_REDIS, NULL, "no connection within the deadline");
    if (!node->wire.ac)
        return err_make(ERR_REDIS, NULL, "the connection was refused");
    return err_ok();
}

// Commands of the set-up: a fault of any fails the connection.
static struct err node_greet(void *mem, struct redis_node *node, int64_t deadline)
{
    struct redis_reply reply = {.type = REDIS_NIL};
    struct err err;
    if (config->redis_password && *config->redis_password) {
        struct redis_arg auth[] = {redis_arg_text("AUTH"),
                                   redis_arg_text(config->redis_password)};
        err = node_call(mem, node, deadline, true, auth, 2, &reply);
        if (err_is(err))
            return err;
    }
    for (struct redis_script *s = scripts; s; s = s->next) {
        struct redis_arg load[] = {redis_arg_text("SCRIPT"), redis_arg_text("LOAD"),
                                   redis_arg_text(s->text)};
        err = node_call(mem, node, deadline, true, load, 3, &reply);
        if (err_is(err))
            return err;
        if (reply.type == REDIS_STRING && reply.len < sizeof s->sha)
            memcpy(s->sha, reply.text, reply.len + 1);
    }
    // What the requests will do: a replica that lost its master refuses to read.
    struct redis_arg probe[] = {redis_arg_text("EXISTS"),
                                redis_arg_text("carrito:probe")};
    err = node_call(mem, node, deadline, true, probe, 2, &reply);
    if (err_is(err))
        return err;
    return err_ok();
}

static void node_keep(void *arg)
{
    struct redis_node *node = arg;
    char last[128] = "";
    for (;;) {
        void *mem = talloc_new(NULL);
        int64_t deadline = clock_mono_ns() + (int64_t)config->redis_timeout_ms * 10 * MS;
        node->dialler = co_self();
        struct err err = node_dial(mem, node, deadline);
        if (!err_is(err)) {
            deadline = clock_mono_ns() + (int64_t)config->redis_timeout_ms * MS;
            err = node_greet(mem, node, deadline);
        }
        if (err_is(err)) {
            // Said once per outage and reason, however often it is tried.
            if (strcmp(last, err.detail) != 0 && node->up_gauge)
                log_event(LOG_WARN, "redis-connect-failed", LOG_STR("node", node->name),
                          LOG_STR("host", node->place->host),
                          LOG_STR("port", node->place->port), LOG_STR("why", err.detail));
            strncpy(last, err.detail, sizeof last - 1);
            node->dialler = NULL;
            node_fail(node, err.detail);
        } else {
            last[0] = '\0';
            node->up = true;
            show(node);
            if (node->up_gauge)
                log_event(LOG_INFO, "redis-node-up", LOG_STR("node", node->name));
            while (node->up)
                co_wait(CO_FOREVER);
            node->dialler = NULL;
        }
        talloc_free(mem);
        loop_sleep_ms(config->redis_retry_ms);
    }
}

static void node_add(const char *name, const struct config_addr *addr)
{
    struct redis_node *node = &nodes[n_nodes];
    memset(node, 0, sizeof *node);
    strncpy(node->name, name, sizeof node->name - 1);
    node->place = addr;
    snprintf(node->addr, sizeof node->addr, "%s:%s", addr->host, addr->port);
    seconds[n_nodes++] = *node;
    char *labels = mem_printf(NULL, "node=\"%s\"", name);
    node->up_gauge = metrics_gauge("carrito_redis_up",
                                   "Processes that are connected to the node.", labels);
    node->open_gauge = metrics_gauge("carrito_redis_breaker_open",
                                     "Processes that leave the node alone.", labels);
    talloc_free(labels);
}

void redis_setup(const struct config *c)
{
    config = c;
    n_nodes = 0;
    master = &nodes[0];
    node_add("master", &c->redis_master);
    for (size_t i = 0; i < (size_t)c->n_redis_replicas && n_nodes < REDIS_NODES_MAX;
         i++) {
        char name[16];
        snprintf(name, sizeof name, "replica-%zu", (i + 1) % REDIS_NODES_MAX);
        node_add(name, &c->redis_replicas[i]);
    }
}

void redis_start(void)
{
    for (size_t i = 0; i < n_nodes; i++) {
        show(&nodes[i]);
        co_start(node_keep, &nodes[i]);
        co_start(node_keep, &seconds[i]);
    }
}

void redis_add_script(struct redis_script *script)
{
    script->next = scripts;
    scripts = script;
}

struct redis_node *redis_node(size_t number)
{
    return &nodes[number];
}

size_t redis_nodes(void)
{
    return n_nodes;
}

struct redis_node *redis_find(const char *addr)
{
    for (size_t i = 0; i < n_nodes; i++)
        if (strcmp(nodes[i].addr, addr) == 0)
            return &nodes[i];
    return NULL;
}

struct redis_node *redis_master(void)
{
    return master;
}

void redis_set_master(struct redis_node *node)
{
    master = node;
}

struct redis_node *redis_second(const struct redis_node *node)
{
    return &seconds[node - nodes];
}

const char *redis_name(const struct redis_node *node)
{
    return node->name;
}

const char *redis_addr(const struct redis_node *node)
{
    return node->addr;
}

bool redis_is_up(const struct redis_node *node)
{
    return node->up;
}

int64_t redis_timeout_ns(void)
{
    return (int64_t)config->redis_timeout_ms * MS;
}

struct redis_arg redis_arg_text(const char *text)
{
    return (struct redis_arg){text, strlen(text)};
}

struct redis_asked *redis_ask(struct work *work, struct redis_node *node,
                              const struct redis_arg *args, size_t n_args)
{
    return node->up ? node_ask(work->mem, node, args, n_args) : NULL;
}

struct err redis_answer(struct work *work, struct redis_asked *asked, int64_t deadline,
                        bool late_is_fault, struct redis_reply *reply)
{
    int64_t begun = clock_mono_ns();
    struct err err = node_answer(asked, deadline, late_is_fault, reply);
    work->redis_ns += clock_mono_ns() - begun;
    return err;
}

static struct err call(struct work *work, struct redis_node *node,
                       const struct redis_arg *args, size_t n_args,
                       struct redis_item *items, struct redis_reply *reply)
{
    if (!node->up)
        return err_make(ERR_REDIS, NULL, "the node is down");
    int64_t begun = clock_mono_ns();
    int64_t deadline = begun + redis_timeout_ns();
    bool hurried = deadline > work->deadline;
    if (hurried)
        deadline = work->deadline;
    if (deadline <= begun)
        return err_make(ERR_REDIS, NULL, "no time was left to ask");
    struct redis_asked *asked = node_ask(work->mem, node, args, n_args);
    if (!asked)
        return err_make(ERR_REDIS, NULL, "the connection was lost");
    asked->items = items;
    asked->n_items = n_args - 1;
    struct err err = node_answer(asked, deadline, !hurried, reply);
    work->redis_ns += clock_mono_ns() - begun;
    return err;
}

struct err redis_call(struct work *work, struct redis_node *node,
                      const struct redis_arg *args, size_t n_args,
                      struct redis_reply *reply)
{
    return call(work, node, args, n_args, NULL, reply);
}

struct err redis_mget(struct work *work, struct redis_node *node,
                      const struct redis_arg *keys, size_t n_keys,
                      struct redis_item *items)
{
    struct redis_arg args[REDIS_ARGS_MAX] = {redis_arg_text("MGET")};
    struct redis_reply unused;
    if (n_keys >= REDIS_ARGS_MAX)
        abort();
    memcpy(args + 1, keys, n_keys * sizeof *keys);
    return call(work, node, args, n_keys + 1, items, &unused);
}

static size_t eval_args(const struct redis_script *script, size_t n_keys,
                        const struct redis_arg *args, size_t n_args,
                        struct redis_arg all[REDIS_ARGS_MAX], char number[24])
{
    snprintf(number, 24, "%zu", n_keys);
    all[0] = redis_arg_text("EVALSHA");
    all[1] = redis_arg_text(script->sha);
    all[2] = redis_arg_text(number);
    memcpy(all + 3, args, n_args * sizeof *args);
    return 3 + n_args;
}

struct redis_asked *redis_ask_eval(struct work *work, struct redis_node *node,
                                   const struct redis_script *script, size_t n_keys,
                                   const struct redis_arg *args, size_t n_args)
{
    struct redis_arg all[REDIS_ARGS_MAX];
    char number[24];
    size_t n = eval_args(script, n_keys, args, n_args, all, number);
    return redis_ask(work, node, all, n);
}

struct err redis_eval(struct work *work, struct redis_node *node,
                      const struct redis_script *script, size_t n_keys,
                      const struct redis_arg *args, size_t n_args,
                      struct redis_reply *reply)
{
    struct redis_arg all[REDIS_ARGS_MAX];
    char number[24];
    size_t n = eval_args(script, n_keys, args, n_args, all, number);
    struct err err = redis_call(work, node, all, n, reply);
    if (!err_is(err) || strncmp(err.detail, "NOSCRIPT", 8) != 0)
        return err;
    all[0] = redis_arg_text("EVAL");
    all[1] = redis_arg_text(script->text);
    return redis_call(work, node, all, n, reply);
}

void redis_send(struct redis_node *node, const struct redis_arg *args, size_t n_args)
{
    if (node->up)
        node_send(node, NULL, NULL, args, n_args);
}
