// Connections to the sentinels, and what they answer.
//
// Invariant: a sentinel's commands are on their way only while its coroutine waits for
// them; when it stops waiting it drops the connection first, and hiredis then answers
// whatever was open with NULL.

#include "data/sentinel.h"

#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/parse.h"
#include "data/redis_wire.h"
#include "loop/co.h"
#include "loop/loop.h"
#include "loop/resolve.h"

#define MS 1000000LL

// The master's state, with the configuration's epoch; and, by another question, its
// address: while a failover is being finished only that one gives the new address.
enum question { STATE, ADDRESS, QUESTION__MAX };

struct sentinel {
    const struct config_addr *place;
    struct redis_wire wire;
    struct co *co; // while it waits
    void *mem;     // what the answers are copied to
    struct redis_reply replies[QUESTION__MAX];
    const char *error; // why an answer is none, or NULL
    int waiting;       // for so many answers
    bool bad;          // said so already
    struct sentinel_word word;
};

static const struct config *config;
static struct sentinel sentinels[CONFIG_ADDRS_MAX];

static void wake(struct sentinel *s)
{
    if (s->co)
        co_wake(s->co);
}

static void on_answer(struct sentinel *s, const redisReply *reply, enum question question)
{
    s->waiting--;
    if (!reply)
        s->error = "the connection was lost";
    else if (reply->type == REDIS_REPLY_ERROR)
        s->error = mem_strndup(s->mem, reply->str, reply->len);
    else
        redis_wire_copy(s->mem, reply, &s->replies[question]);
    wake(s);
}

static void on_state(redisAsyncContext *ac, void *reply, void *s)
{
    (void)ac;
    on_answer(s, reply, STATE);
}

static void on_address(redisAsyncContext *ac, void *reply, void *s)
{
    (void)ac;
    on_answer(s, reply, ADDRESS);
}

static void on_connect(const redisAsyncContext *ac, int status)
{
    (void)status;
    wake(ac->data);
}

static void on_disconnect(const redisAsyncContext *ac, int status)
{
    (void)status;
    wake(ac->data);
}

static bool wait_for(struct sentinel *s, int64_t deadline)
{
    s->co = co_self();
    bool woken = co_wait(deadline);
    s->co = NULL;
    return woken;
}

// Returns why not, or NULL.
static const char *dial(struct sentinel *s, int64_t deadline)
{
    const char *address;
    struct err err = resolve_host(s->mem, s->place->host, deadline, &address);
    if (err_is(err))
        return "its name cannot be resolved";
    redisAsyncContext *ac = redisAsyncConnect(address, atoi(s->place->port));
    if (!ac)
        abort();
    if (ac->err) {
        redisAsyncFree(ac);
        return "no connection can be made";
    }
    ac->data = s;
    redis_wire_attach(&s->wire, ac);
    redisAsyncSetConnectCallback(ac, on_connect);
    redisAsyncSetDisconnectCallback(ac, on_disconnect);
    while (s->wire.ac && !(s->wire.ac->c.flags & REDIS_CONNECTED))
        if (!wait_for(s, deadline))
            return "no connection within the deadline";
    if (!s->wire.ac)
        return "the connection was refused";
    // One without a password refuses this, and does not mind.
    if (*config->redis_password)
        redisAsyncCommand(ac, NULL, NULL, "AUTH %s", config->redis_password);
    return NULL;
}

// The value called name in a list of names and values; NULL if it is not there.
static const struct redis_reply *find(const struct redis_reply *list, const char *name)
{
    for (size_t i = 0; list->type == REDIS_ARRAY && i + 1 < list->n_items; i += 2)
        if (list->items[i].type == REDIS_STRING &&
            strcmp(list->items[i].text, name) == 0 &&
            list->items[i + 1].type == REDIS_STRING)
            return &list->items[i + 1];
    return NULL;
}

static bool read_word(const struct redis_reply *state, const struct redis_reply *address,
                      struct sentinel_word *word)
{
    const struct redis_reply *number = find(state, "config-epoch");
    if (!number ||
        !parse_int(number->text, number->len, 0, INT64_MAX, &word->config_epoch))
        return false;
    if (address->type != REDIS_ARRAY || address->n_items != 2 ||
        address->items[0].type != REDIS_STRING || address->items[1].type != REDIS_STRING)
        return false;
    int n = snprintf(word->master, sizeof word->master, "%s:%s", address->items[0].text,
                     address->items[1].text);
    return n > 0 && (size_t)n < sizeof word->master;
}

// Asks both questions at once, the number first: if it changes in between, the new
// address has the old number, never the other way round.
static const char *ask(struct sentinel *s, int64_t deadline)
{
    const char *name = config->redis_master_name;
    struct sentinel_word word = {.asked_at = clock_mono_ns()};
    s->error = NULL;
    memset(s->replies, 0, sizeof s->replies);
    if (redisAsyncCommand(s->wire.ac, on_state, s, "SENTINEL MASTER %s", name) !=
        REDIS_OK)
        return "the connection is closing";
    s->waiting++;
    if (redisAsyncCommand(s->wire.ac, on_address, s,
                          "SENTINEL GET-MASTER-ADDR-BY-NAME %s", name) != REDIS_OK)
        return "the connection is closing";
    s->waiting++;
    while (s->waiting > 0)
        if (!wait_for(s, deadline))
            return "no answer within the deadline";
    if (s->error)
        return s->error;
    if (!read_word(&s->replies[STATE], &s->replies[ADDRESS], &word))
        return "the answer is not understood";
    s->word = word;
    return NULL;
}

// As long as it answers.
static const char *ask_on(struct sentinel *s)
{
    for (;;) {
        void *outer = s->mem;
        s->mem = talloc_new(outer);
        int64_t begun = clock_mono_ns();
        const char *why = ask(s, begun + config->redis_timeout_ms * MS);
        if (why)
            return why; // s->mem dies with its parent, when the connection is gone
        talloc_free(s->mem);
        s->mem = outer;
        if (s->bad)
            log_event(LOG_INFO, "sentinel-up", LOG_STR("host", s->place->host),
                      LOG_STR("port", s->place->port));
        s->bad = false;
        co_wait(begun + SENTINEL_EVERY_MS * MS);
        if (!s->wire.ac)
            return "the connection was lost";
    }
}

static void keep_asking(void *arg)
{
    struct sentinel *s = arg;
    for (;;) {
        void *mem = s->mem = talloc_new(NULL);
        const char *why = dial(s, clock_mono_ns() + 10LL * config->redis_timeout_ms * MS);
        if (!why)
            why = ask_on(s);
        if (!s->bad) // once per outage
            log_event(LOG_WARN, "sentinel-down", LOG_STR("host", s->place->host),
                      LOG_STR("port", s->place->port), LOG_STR("why", why));
        s->bad = true;
        if (s->wire.ac)
            redisAsyncFree(s->wire.ac);
        talloc_free(mem);
        loop_sleep_ms(config->redis_retry_ms);
    }
}

void sentinel_setup(const struct config *c)
{
    config = c;
    memset(sentinels, 0, sizeof sentinels);
    for (size_t i = 0; i < c->n_redis_sentinels; i++)
        sentinels[i].place = &c->redis_sentinels[i];
}

void sentinel_start(void)
{
    for (size_t i = 0; i < config->n_redis_sentinels; i++)
        co_start(keep_asking, &sentinels[i]);
}

size_t sentinel_count(void)
{
    return config->n_redis_sentinels;
}

struct sentinel_word sentinel_said(size_t number)
{
    return sentinels[number].word;
}
