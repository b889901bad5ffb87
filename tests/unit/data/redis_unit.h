// What the tests of redis.c share: two fake nodes and a place where none is.
#pragma once

#include "../loop/co_unit.h"
#include "metrics_unit.h"
#include "resp_fake.h"

#include <sys/un.h>

#include "base/log.h"
#include "base/mem.h"
#include "data/redis.h"

#define TIMEOUT_MS 200
#define RETRY_MS 20
#define PASSWORD "s3cret"

static struct resp_node master_node, replica_node;
static char dead_port[8];
static struct config config = {
    .redis_password = PASSWORD,
    .redis_retry_ms = RETRY_MS,
    .redis_timeout_ms = TIMEOUT_MS,
};
// Where a socket of the master's name lies that nobody listens at.
static char socket_dir[] = "/tmp/redis-unit-XXXXXX";
static struct redis_script script_a = {.text = "return 'a'"};
static struct redis_script script_b = {.text = "return 'b'"};

static struct redis_node *master, *replica, *dead;

static inline void wait_until_up(const struct redis_node *node, bool up)
{
    while (redis_is_up(node) != up)
        co_unit_yield();
}

static inline int64_t since_ms(int64_t begun)
{
    return (clock_mono_ns() - begun) / MS;
}

// One call, and what came of it.
struct call {
    struct redis_node *node;
    char key[64];
    void *mem;
    int64_t deadline;
    bool done;
    struct err err;
    struct redis_reply reply;
    int64_t redis_ns;
    int64_t took_ms;
};

static inline void make_call(void *arg)
{
    struct call *call = arg;
    struct work work = {.mem = call->mem,
                        .deadline = call->deadline ? call->deadline : CO_FOREVER};
    struct redis_arg args[] = {redis_arg_text("GET"), redis_arg_text(call->key)};
    int64_t begun = clock_mono_ns();
    call->err = redis_call(&work, call->node, args, 2, &call->reply);
    call->took_ms = since_ms(begun);
    call->redis_ns = work.redis_ns;
    call->done = true;
}

static inline struct call get(void *mem, struct redis_node *node, const char *key)
{
    struct call call = {.node = node, .mem = mem};
    snprintf(call.key, sizeof call.key, "%s", key);
    make_call(&call);
    return call;
}

static inline void check_echo(void *mem, struct redis_node *node, const char *text)
{
    char key[64];
    snprintf(key, sizeof key, "echo:%s", text);
    struct call call = get(mem, node, key);
    assert_int_equal(call.err.code, ERR_NONE);
    assert_string_equal(call.reply.text, text);
}

static inline void redis_unit_leave_socket(void)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    assert_non_null(mkdtemp(socket_dir));
    config.redis_socket_dir = socket_dir;
    snprintf(addr.sun_path, sizeof addr.sun_path, "%s/redis-%s.sock", socket_dir,
             master_node.port);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof addr), 0);
    close(fd);
}

// Starts the fake nodes, and sets up the program's side; once, before all tests.
static inline void redis_unit_begin(void)
{
    resp_start(&master_node, PASSWORD);
    resp_start(&replica_node, PASSWORD);
    close(resp_listen(dead_port));
    config.redis_master = (struct config_addr){"127.0.0.1", master_node.port};
    config.redis_replicas[0] = (struct config_addr){"127.0.0.1", replica_node.port};
    config.redis_replicas[1] = (struct config_addr){"127.0.0.1", dead_port};
    config.n_redis_replicas = 2;
    redis_unit_leave_socket();
    signal(SIGPIPE, SIG_IGN);
    log_set_level(LOG_ERROR);
    loop_init();
    redis_setup(&config);
    redis_add_script(&script_a);
    redis_add_script(&script_b);
    master = redis_node(0);
    replica = redis_node(1);
    dead = redis_node(2);
}

// Starts to connect, and waits until the two nodes are up, on both connections.
static inline void redis_unit_come_up(void *mem)
{
    (void)mem;
    redis_start();
    assert_false(redis_is_up(master));
    assert_int_equal(metrics_unit_value("carrito_redis_breaker_open{node=\"master\"}"),
                     1);
    wait_until_up(master, true);
    wait_until_up(replica, true);
    wait_until_up(redis_second(master), true);
    wait_until_up(redis_second(replica), true);
}

// Ends the fake nodes. After this the keepers sleep, and nothing is left on their stacks.
static inline void redis_unit_end(void *mem)
{
    (void)mem;
    config.redis_retry_ms = 60000;
    resp_stop(&master_node);
    resp_stop(&replica_node);
    wait_until_up(master, false);
    wait_until_up(replica, false);
    wait_until_up(redis_second(master), false);
    wait_until_up(redis_second(replica), false);
    loop_sleep_ms(3 * RETRY_MS);
    char path[64];
    snprintf(path, sizeof path, "%s/redis-%s.sock", socket_dir, master_node.port);
    unlink(path);
    rmdir(socket_dir);
}
