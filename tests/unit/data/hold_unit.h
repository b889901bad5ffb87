// What the tests of hold.c share: a clock that nothing but waiting moves, fake nodes, a
// fake row of cache_epoch, and writers. A test that includes it has at its top the lines
// that pg_fake.h asks for, and
//   // wrap: clock_mono_ns co_wait redis_is_up redis_eval redis_ask redis_ask_eval
//   // wrap: redis_answer nonce_put
// All steps go to fake_trace: set(0 ...) is a tombstone by itself on the first node,
// batch(0* ...) several on its second connection.
#pragma once

#include "../loop/co_unit.h"
#include "metrics_unit.h"
#include "pg_fake.h"

#include "base/log.h"
#include "data/epoch.h"
#include "data/hold.h"
#include "data/lease.h"
#include "data/nonce.h"
#include "data/redis.h"

enum node { MASTER, REPLICA_1, REPLICA_2, NODES };

#define ADDR_0 "10.0.0.1:6390"
#define ADDR_1 "10.0.0.2:6391"
#define ADDR_2 "10.0.0.3:6392"
#define REPLID "8bf315b94ae172c5c448365fba84c4059ee000f3"

static struct config config = {
    .cache = true,
    .redis_master = {"10.0.0.1", "6390"},
    .redis_replicas = {{"10.0.0.2", "6391"}, {"10.0.0.3", "6392"}},
    .n_redis_replicas = 2,
    .redis_timeout_ms = 50,
};

// The clock, and who waits for it

#define SLEEPERS_MAX 200

static int64_t fake_now;
static struct sleeper {
    struct co *co;
    int64_t until;
    bool timed_out;
} * sleepers[SLEEPERS_MAX];
static size_t n_sleepers;

int64_t __wrap_clock_mono_ns(void);
bool __wrap_co_wait(int64_t deadline);
bool __real_co_wait(int64_t deadline);

int64_t __wrap_clock_mono_ns(void)
{
    return fake_now;
}

bool __wrap_co_wait(int64_t deadline)
{
    if (deadline == CO_FOREVER)
        return __real_co_wait(CO_FOREVER);
    if (deadline <= fake_now)
        return false;
    struct sleeper me = {co_self(), deadline, false};
    assert_true(n_sleepers < SLEEPERS_MAX);
    sleepers[n_sleepers++] = &me;
    __real_co_wait(CO_FOREVER);
    for (size_t i = 0; i < n_sleepers; i++)
        if (sleepers[i] == &me)
            sleepers[i] = sleepers[--n_sleepers];
    return !me.timed_out;
}

static inline void hold_unit_wake(void *co)
{
    co_wake(co);
}

// Lets everybody run who is ready, without any time passing.
static inline void settle(void)
{
    for (int i = 0; i < 50; i++) {
        co_start(hold_unit_wake, co_self());
        __real_co_wait(CO_FOREVER);
    }
}

// Lets time pass until the first one's waiting is over; false if nobody waits for that.
static inline bool pass_time(void)
{
    struct sleeper *first = NULL;
    for (size_t i = 0; i < n_sleepers; i++)
        if (!first || sleepers[i]->until < first->until)
            first = sleepers[i];
    if (!first)
        return false;
    fake_now = first->until;
    first->timed_out = true;
    co_wake(first->co);
    settle();
    return true;
}

static inline void pause_ms(int64_t ms)
{
    __wrap_co_wait(fake_now + ms * MS);
}

// Tombstones are X1, X2 ... in each test.

static int nonces;

void __wrap_nonce_put(char out[NONCE_MAX], char kind);

void __wrap_nonce_put(char out[NONCE_MAX], char kind)
{
    snprintf(out, NONCE_MAX, "%c%d", kind, ++nonces);
}

// The nodes

// What a tombstone comes to: the script says 1; it says 0, for another role or replid; it
// says something else; an error; no answer; or the script is not known to a batch.
enum set { SET_DONE, SET_ELSEWHERE, SET_ODD, SET_REFUSED, SET_LATE, SET_UNKNOWN };

struct fake_conn {
    bool up;
    enum set set;
};

static struct {
    struct fake_conn conns[NODES][2];
    int64_t takes_ms;             // each answer
    const char *before, *after;   // INFO's answers; NULL: an error
    bool before_late, after_late; // or none
    bool wait_refused, wait_late; // WAIT's
} fake;

#define INFO_HEAD(replid) \
    "# Replication\r\nrole:master\r\nconnected_slaves:2\r\nmaster_replid:" replid "\r\n"
#define OFFSET(n) "master_repl_offset:" #n "\r\n"
#define LISTED(number, ip, port, state, n) \
    "slave" #number ":ip=" ip ",port=" port ",state=" state ",offset=" #n ",lag=0\r\n"
#define GOOD_BEFORE                              \
    INFO_HEAD(REPLID)                            \
    OFFSET(1000)                                 \
    LISTED(0, "10.0.0.2", "6391", "online", 900) \
    LISTED(1, "10.0.0.3", "6392", "online", 900)
#define GOOD_AFTER                                \
    INFO_HEAD(REPLID)                             \
    OFFSET(1040)                                  \
    LISTED(0, "10.0.0.2", "6391", "online", 1000) \
    LISTED(1, "10.0.0.3", "6392", "online", 1020)

struct redis_asked {
    enum { ASKED_SET, ASKED_INFO, ASKED_WAIT } what;
    struct redis_node *node;
    int number; // of a batch's INFOs
};

bool __wrap_redis_is_up(const struct redis_node *node);
struct err __wrap_redis_eval(struct work *work, struct redis_node *node,
                             const struct redis_script *script, size_t n_keys,
                             const struct redis_arg *args, size_t n_args,
                             struct redis_reply *reply);
struct redis_asked *__wrap_redis_ask(struct work *work, struct redis_node *node,
                                     const struct redis_arg *args, size_t n_args);
struct redis_asked *__wrap_redis_ask_eval(struct work *work, struct redis_node *node,
                                          const struct redis_script *script,
                                          size_t n_keys, const struct redis_arg *args,
                                          size_t n_args);
struct err __wrap_redis_answer(struct work *work, struct redis_asked *asked,
                               int64_t deadline, bool late_is_fault,
                               struct redis_reply *reply);

// Which node it is, and whether by its second connection.
static inline enum node node_of(const struct redis_node *node, bool *second)
{
    for (size_t i = 0; i < redis_nodes(); i++) {
        *second = redis_second(redis_node(i)) == node;
        if (*second || redis_node(i) == node)
            return (enum node)i;
    }
    fail_msg("no such node");
    return NODES;
}

static inline struct fake_conn *conn_of(const struct redis_node *node)
{
    bool second;
    enum node n = node_of(node, &second);
    return &fake.conns[n][second];
}

static inline const char *label(const struct redis_node *node)
{
    static const char *const labels[NODES][2] = {{"0", "0*"}, {"1", "1*"}, {"2", "2*"}};
    bool second;
    enum node n = node_of(node, &second);
    return labels[n][second];
}

// set(0 cart:a=X1 REPLID), the replication id by its first letters.
static inline void trace_set(const char *what, const struct redis_node *node,
                             size_t n_keys, const struct redis_arg *args, size_t n_args)
{
    assert_int_equal(n_args, 2 * n_keys + 1);
    STEP("%s(%s", what, label(node));
    for (size_t i = 0; i < n_keys; i++)
        buf_printf(&fake_trace, " %.*s=%.*s", (int)args[i].len, args[i].data,
                   (int)args[n_keys + 1 + i].len, args[n_keys + 1 + i].data);
    buf_printf(&fake_trace, " %.*s)", args[n_keys].len < 4 ? (int)args[n_keys].len : 4,
               args[n_keys].data);
}

static inline struct err set_answer(struct redis_node *node, bool in_batch,
                                    int64_t deadline, struct redis_reply *reply)
{
    enum set set = conn_of(node)->set;
    if (set == SET_LATE || (fake.takes_ms && deadline < fake_now + fake.takes_ms * MS)) {
        __wrap_co_wait(deadline);
        conn_of(node)->up = false;
        return err_make(ERR_REDIS, NULL, "no answer within the deadline");
    }
    pause_ms(fake.takes_ms);
    if (set == SET_REFUSED)
        return err_make(ERR_REDIS, NULL, "NOREPLICAS Not enough good replicas");
    if (set == SET_UNKNOWN && in_batch)
        return err_make(ERR_REDIS, NULL, "NOSCRIPT No matching script");
    *reply = (struct redis_reply){.type = REDIS_INTEGER, .integer = set != SET_ELSEWHERE};
    if (set == SET_ODD)
        *reply = (struct redis_reply){.type = REDIS_STRING, .integer = 1, .text = "OK"};
    return err_ok();
}

bool __wrap_redis_is_up(const struct redis_node *node)
{
    return conn_of(node)->up;
}

struct err __wrap_redis_eval(struct work *work, struct redis_node *node,
                             const struct redis_script *script, size_t n_keys,
                             const struct redis_arg *args, size_t n_args,
                             struct redis_reply *reply)
{
    assert_true(work->mem && strstr(script->text, "role:master"));
    trace_set("set", node, n_keys, args, n_args);
    if (!conn_of(node)->up)
        return err_make(ERR_REDIS, NULL, "the node is down");
    return set_answer(node, false, fake_now + config.redis_timeout_ms * MS, reply);
}

static inline struct redis_asked *asked_new(struct work *work, struct redis_node *node,
                                            int what)
{
    if (!conn_of(node)->up)
        return NULL;
    struct redis_asked *asked = mem_new(work->mem, struct redis_asked);
    *asked = (struct redis_asked){.what = what, .node = node};
    return asked;
}

struct redis_asked *__wrap_redis_ask_eval(struct work *work, struct redis_node *node,
                                          const struct redis_script *script,
                                          size_t n_keys, const struct redis_arg *args,
                                          size_t n_args)
{
    assert_non_null(strstr(script->text, "role:master"));
    trace_set("batch", node, n_keys, args, n_args);
    return asked_new(work, node, ASKED_SET);
}

struct redis_asked *__wrap_redis_ask(struct work *work, struct redis_node *node,
                                     const struct redis_arg *args, size_t n_args)
{
    static int infos;
    bool info = strcmp(args[0].data, "INFO") == 0;
    STEP("%s(%s", info ? "info" : "wait", label(node));
    for (size_t i = 1; i < n_args; i++)
        buf_printf(&fake_trace, " %.*s", (int)args[i].len, args[i].data);
    buf_add_char(&fake_trace, ')');
    struct redis_asked *asked = asked_new(work, node, info ? ASKED_INFO : ASKED_WAIT);
    if (asked)
        asked->number = info ? infos++ % 2 : 0;
    return asked;
}

struct err __wrap_redis_answer(struct work *work, struct redis_asked *asked,
                               int64_t deadline, bool late_is_fault,
                               struct redis_reply *reply)
{
    assert_true(work->mem && late_is_fault);
    if (asked->what == ASKED_SET)
        return set_answer(asked->node, true, deadline, reply);
    const char *text = asked->number ? fake.after : fake.before;
    bool late = asked->number ? fake.after_late : fake.before_late;
    if (asked->what == ASKED_WAIT) {
        text = fake.wait_refused ? NULL : "2";
        late = fake.wait_late;
    }
    if (!conn_of(asked->node)->up) // an answer before it was late
        return err_make(ERR_REDIS, NULL, "the connection was lost");
    if (late) {
        __wrap_co_wait(deadline);
        conn_of(asked->node)->up = false;
        return err_make(ERR_REDIS, NULL, "no answer within the deadline");
    }
    pause_ms(fake.takes_ms);
    if (!text)
        return err_make(ERR_REDIS, NULL, "ERR refused");
    *reply =
        (struct redis_reply){.type = REDIS_STRING, .text = text, .len = strlen(text)};
    if (asked->what == ASKED_WAIT)
        *reply = (struct redis_reply){.type = REDIS_INTEGER, .integer = 2};
    return err_ok();
}

// The database: the row of cache_epoch, and cache_move()

static struct epoch db;

static struct pg_rows *epoch_row(void *mem, const struct epoch *epoch)
{
    const char **cells = mem_array(mem, const char *, 5);
    cells[0] = mem_printf(mem, "%lld", (long long)epoch->number);
    cells[1] = epoch_mode_name(epoch->mode);
    cells[2] = mem_printf(mem, "%s", epoch->master);
    cells[3] = mem_printf(mem, "%s", epoch->replid);
    cells[4] = "t";
    return pg_fake_rows(mem, 1, 5, cells);
}

static struct pg_rows *move_epoch(void *mem)
{
    const char *sent = fake_sent.data, *next;
    while ((next = strstr(sent + 1, "\nepoch_move|")))
        sent = next;
    char mode[16] = "", master[64] = "", replid[REPLID_MAX] = "";
    long long from = 0;
    assert_true(sscanf(sent, "\nepoch_move|%lld|%15[^|]|%63[^|]|%40s", &from, mode,
                       master, replid) >= 2);
    bool moved = from == db.number;
    if (moved) {
        db.number++;
        assert_true(epoch_mode_parse(mode, strlen(mode), &db.mode));
        snprintf(db.master, sizeof db.master, "%s", master);
        snprintf(db.replid, sizeof db.replid, "%s", replid);
    }
    const char **cells = mem_array(mem, const char *, 1);
    cells[0] = moved ? "t" : "f";
    return pg_fake_rows(mem, 1, 1, cells);
}

static struct pg_rows *pg_fake_answer(void *mem, const struct pg_stmt *stmt)
{
    if (strcmp(stmt->name, "epoch_move") == 0)
        return move_epoch(mem);
    if (strcmp(stmt->name, "epoch_read") == 0)
        return epoch_row(mem, &db);
    return pg_fake_rows(mem, 0, 0, NULL);
}

// The trip that moves the epoch, and then reads it.
#define MOVE_TRIP "acquire(chore) trip(begin epoch_move commit epoch_read) release"

// An epoch that this process has not read.
static inline struct epoch epoch_at(int64_t number, enum cache_mode mode,
                                    const char *master, const char *replid)
{
    struct epoch epoch = {.number = number, .mode = mode};
    snprintf(epoch.master, sizeof epoch.master, "%s", master);
    snprintf(epoch.replid, sizeof epoch.replid, "%s", replid);
    return epoch;
}

// It is now, as any statement that has the epoch's columns may tell.
static inline void learn(const struct epoch *epoch)
{
    void *mem = talloc_new(NULL);
    epoch_of(epoch_row(mem, epoch), 0, 0);
    talloc_free(mem);
}

// Writers

struct writer {
    struct epoch epoch; // as read under the cart's lock
    const char *key;
    char tombstone[NONCE_MAX];
    struct work work;
    struct err err;
    bool set, done;
    int64_t took_ns;
};

static int64_t numbers = 1000; // of the epochs of the test that runs

static inline void write_cart(void *arg)
{
    struct writer *w = arg;
    int64_t begun = fake_now;
    w->set = true; // it must be told
    w->err = hold_commit(&w->work, &w->epoch, w->key, w->tombstone, &w->set);
    w->took_ns = fake_now - begun;
    w->done = true;
}

static inline struct writer writer_of(void *mem, const struct epoch *read,
                                      const char *key)
{
    return (struct writer){.epoch = *read,
                           .key = key,
                           .work = {.mem = mem,
                                    .start_by = fake_now + 1000 * MS,
                                    .deadline = fake_now + 2000 * MS}};
}

// Lets time pass until it is done.
static inline void finish(struct writer *w)
{
    settle();
    while (!w->done)
        if (!pass_time())
            fail_msg("nobody goes on");
}

// One writer from beginning to end, to whom the epoch is known by now.
static inline struct writer write_alone(void *mem, const struct epoch *read)
{
    struct writer w = writer_of(mem, read, "cart:u");
    co_start(write_cart, &w);
    finish(&w);
    return w;
}

// The test's memory is there before, and all is as it should be: mode replicas, every
// node up, everybody acknowledges at once.
static struct epoch epoch;

static inline void fake_reset(void *mem)
{
    pg_fake_reset(mem);
    memset(&fake, 0, sizeof fake);
    for (int i = 0; i < NODES; i++)
        for (int k = 0; k < 2; k++)
            fake.conns[i][k].up = true;
    config.cache = true;
    fake.before = GOOD_BEFORE;
    fake.after = GOOD_AFTER;
    numbers += 100;
    nonces = 0;
    fake_now += 1000000 * MS;
    epoch = db = epoch_at(numbers, CACHE_REPLICAS, ADDR_0, REPLID);
    learn(&epoch);
    fake_now += 1000000 * MS;
}

struct hold_test {
    void (*fn)(void *mem);
    void *mem;
};

static inline void hold_unit_body(void *arg)
{
    const struct hold_test *test = arg;
    fake_reset(test->mem);
    test->fn(test->mem);
    assert_int_equal(n_sleepers, 0);
    settle();
    assert_int_equal(co_count(), 1); // nobody is left behind
    assert_false(fake_conn.busy);
}

static inline void hold_unit_run(void (*fn)(void *mem), void **state)
{
    struct hold_test test = {fn, talloc_new(*state)};
    co_unit_run(hold_unit_body, &test);
    talloc_free(test.mem);
}

// Once, before all tests.
static inline void hold_unit_begin(void)
{
    log_set_level(LOG_ERROR);
    loop_init();
    redis_setup(&config);
    epoch_setup();
    hold_setup(&config);
}

#define HOLDS(by) "carrito_holds_total{by=\"" by "\"}"

// A body that runs as a coroutine, and the cmocka test that runs it.
#define HOLD_TEST(name)                  \
    static void name(void *mem);         \
    static void run_##name(void **state) \
    {                                    \
        hold_unit_run(name, state);      \
    }                                    \
    static void name(void *mem)

#define HOLD_CASE(name)                                    \
    {                                                      \
#name, run_##name, unit_setup, unit_teardown, NULL \
    }
