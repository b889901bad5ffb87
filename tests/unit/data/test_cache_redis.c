// The cache and the hold on real servers: a master with one replica.
// wrap: epoch_known epoch_first_read
#include "../loop/co_unit.h"
#include "redis_real.h"

#include "base/log.h"
#include "base/mem.h"
#include "data/cache.h"
#include "data/epoch.h"
#include "data/hold.h"
#include "data/lease.h"
#include "data/redis.h"

#define EPOCH 7

static struct redis_real master_server, replica_server, third_server;
static struct config config = {
    .cache = true,
    .cache_ttl_s = 1800,
    .redis_password = "",
    .redis_retry_ms = 20,
    .redis_timeout_ms = 3000,
};
static struct redis_node *master, *replica;

// What this process knows, of long ago.

static struct epoch epoch = {.number = EPOCH, .mode = CACHE_REPLICAS};

const struct epoch *__wrap_epoch_known(void);
int64_t __wrap_epoch_first_read(int64_t number);

const struct epoch *__wrap_epoch_known(void)
{
    return &epoch;
}

int64_t __wrap_epoch_first_read(int64_t number)
{
    (void)number;
    return 0;
}

// Asking a server directly

static struct work new_work(void *mem)
{
    int64_t now = clock_mono_ns();
    return (struct work){
        .mem = mem, .start_by = now + 2000 * MS, .deadline = now + 4000 * MS};
}

static struct redis_reply ask(void *mem, struct redis_node *node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// A command of words; a \r in it stands for a blank.
static struct redis_reply ask(void *mem, struct redis_node *node, const char *format, ...)
{
    struct redis_arg args[8];
    size_t n = 0;
    char text[512], *rest;
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    for (char *w = strtok_r(text, " ", &rest); w; w = strtok_r(NULL, " ", &rest)) {
        for (char *r = w; (r = strchr(r, '\r'));)
            *r = ' ';
        args[n++] = redis_arg_text(w);
    }
    struct work work = new_work(mem);
    struct redis_reply reply;
    struct err err = redis_call(&work, node, args, n, &reply);
    if (err_is(err))
        fail_msg("%s: %s", text, err.detail);
    return reply;
}

static const char *value_of(void *mem, const char *key)
{
    struct redis_reply reply = ask(mem, master, "GET %s", key);
    return reply.type == REDIS_STRING ? reply.text : "";
}

static void check_life(void *mem, const char *key, int64_t ms)
{
    int64_t left = ask(mem, master, "PTTL %s", key).integer;
    assert_true(left > ms - 3000 && left <= ms);
}

static void wait_for(void *mem, struct redis_node *node, const char *words)
{
    while (!strstr(ask(mem, node, "INFO replication").text, words))
        loop_sleep_ms(10);
}

static void read_replid(void *mem, char replid[REPLID_MAX])
{
    const char *text = ask(mem, master, "INFO replication").text;
    assert_int_equal(
        sscanf(strstr(text, "master_replid:"), "master_replid:%40[0-9a-f]", replid), 1);
}

static void set_heartbeat(void *mem, enum cache_mode mode, const char *replid)
{
    struct buf b;
    struct heartbeat hb = {.epoch = EPOCH, .mode = mode, .stamp = lease_now()};
    snprintf(hb.replid, sizeof hb.replid, "%s", replid);
    buf_init(&b, mem, 128);
    heartbeat_put(&b, &hb);
    for (char *blank = b.data; (blank = strchr(blank, ' '));)
        *blank = '\r';
    ask(mem, master, "SET %s %s", lease_key(), b.data);
}

static void come_up(void *mem)
{
    redis_start();
    struct redis_node *nodes[] = {master, replica, redis_second(master),
                                  redis_second(replica)};
    for (size_t i = 0; i < LENGTH(nodes); i++)
        while (!redis_is_up(nodes[i]))
            co_unit_yield();
    wait_for(mem, replica, "master_link_status:up");
    wait_for(mem, master, "state=online");
    ask(mem, master, "SET first x");
    ask(mem, master, "WAIT 1 2000");
    read_replid(mem, epoch.replid);
    snprintf(epoch.master, sizeof epoch.master, "%s", redis_addr(master));
    assert_int_equal(strlen(epoch.replid), 40);
    talloc_free_children(mem);
}

// Scripts

static void claim_tokens(void *mem)
{
    static const struct {
        const char *there; // what the key holds, NULL: nothing
        bool held;
    } rows[] = {
        {NULL, true},
        {"V\r6\r1\ru\n{}", true},
        {"V\r1\r9\ru\n{}", true},
        {"V\r7\r1\ru\n{}", false},
        {"V\r8\r1\ru\n{}", false},
        {"V\r10\r1\ru\n{}", false}, // numbers, not texts, are compared
        {"V\r70\r1\ru\n{}", false},
        {"V\r006\r1\ru\n{}", true},
        {"V\r1\ru\n{}", true}, // as values were before there were epochs
        {"T\rsomebody", false},
        {"X\rsomebody", false},
        {"T\r1\r2\r3", false},
        {"V", false},
        {"V\rx\r1\ru\n{}", true}, // no value that anybody can use
        {"nonsense", false},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct work work = new_work(mem);
        struct cache_claim claim = {.epoch = EPOCH};
        ask(mem, master, "DEL cart:u");
        if (rows[i].there)
            ask(mem, master, "SET cart:u %s", rows[i].there);
        const char *before = value_of(mem, "cart:u");
        cache_claim_token(&work, "u", &claim);
        if (claim.held != rows[i].held)
            fail_msg("over %s", before);
        assert_string_equal(value_of(mem, "cart:u"), claim.held ? claim.nonce : before);
        if (claim.held)
            check_life(mem, "cart:u", 5000);
    }
    // What is no text is left alone.
    struct work work = new_work(mem);
    struct cache_claim claim = {.epoch = EPOCH};
    ask(mem, master, "DEL cart:u");
    ask(mem, master, "RPUSH cart:u a");
    cache_claim_token(&work, "u", &claim);
    assert_false(claim.held);
    assert_true(redis_is_up(master));
    ask(mem, master, "DEL cart:u");
    talloc_free_children(mem);
}

static void replace_claims(void *mem)
{
    static const char *const others[] = {"T\rother", "X\rother", "V\r7\r9\ru\n{}",
                                         "V\r6\r1\ru\n{}", ""};
    struct work work = new_work(mem);
    struct cache_claim claim = {.epoch = EPOCH};
    struct cache_value value = {8, "{\"x\":\n\"y z\"}", 12};
    cache_claim_token(&work, "u", &claim);
    assert_true(claim.held);
    cache_fill(&work, "u", &claim, &value);
    assert_string_equal(value_of(mem, "cart:u"), "V 7 8 u\n{\"x\":\n\"y z\"}");
    check_life(mem, "cart:u", 1800000);
    cache_fill(&work, "u", &claim, &value); // once
    cache_drop(&work, "u", &claim);         // and it is not the claim any more
    assert_string_equal(value_of(mem, "cart:u"), "V 7 8 u\n{\"x\":\n\"y z\"}");

    for (size_t i = 0; i < LENGTH(others); i++) {
        ask(mem, master, "DEL cart:u");
        if (*others[i])
            ask(mem, master, "SET cart:u %s", others[i]);
        const char *before = value_of(mem, "cart:u");
        cache_fill(&work, "u", &claim, &value);
        assert_string_equal(value_of(mem, "cart:u"), before);
        cache_drop(&work, "u", &claim);
        assert_string_equal(value_of(mem, "cart:u"), before);
    }
    ask(mem, master, "DEL cart:u");
    cache_claim_token(&work, "u", &claim);
    cache_drop(&work, "u", &claim);
    assert_int_equal(ask(mem, master, "EXISTS cart:u").integer, 0);
    talloc_free_children(mem);
}

static int64_t hold(void *mem, const char *user_id, const struct epoch *read,
                    struct cache_claim *claim)
{
    struct work work = new_work(mem);
    int64_t begun = clock_mono_ns();
    assert_int_equal(cache_hold(&work, read, user_id, claim).code, ERR_NONE);
    return clock_mono_ns() - begun;
}

// The same where nothing has to be waited for. A busy machine may need a few tries.
static void hold_soon(void *mem, const char *user_id, const struct epoch *read,
                      struct cache_claim *claim)
{
    for (int tries = 0; hold(mem, user_id, read, claim) >= HOLD_NS; tries++)
        assert_true(tries < 10);
}

static void hold_long(void *mem, const char *user_id, struct cache_claim *claim)
{
    assert_true(hold(mem, user_id, &epoch, claim) >= HOLD_NS);
}

// Over anything, in one mode and the other; the reader whose token it was is too late.
static void set_tombstones(void *mem)
{
    static const char *const there[] = {"T\rother", "X\rother", "V\r7\r9\ru\n{}",
                                        "V\r9\r9\ru\n{}", "nonsense"};
    struct work work = new_work(mem);
    struct cache_claim token = {.epoch = EPOCH}, tombstone;
    struct cache_value value = {8, "{}", 2};
    for (int mode = CACHE_MASTER; mode <= CACHE_REPLICAS; mode++) {
        struct epoch read = epoch;
        read.mode = (enum cache_mode)mode;
        for (size_t i = 0; i < LENGTH(there); i++) {
            ask(mem, master, "SET cart:u %s", there[i]);
            hold_soon(mem, "u", &read, &tombstone);
            assert_true(tombstone.held);
            assert_string_equal(value_of(mem, "cart:u"), tombstone.nonce);
            check_life(mem, "cart:u", 10000);
        }
        ask(mem, master, "DEL cart:u");
        cache_claim_token(&work, "u", &token);
        assert_true(token.held);
        hold(mem, "u", &read, &tombstone);
        cache_fill(&work, "u", &token, &value);
        assert_string_equal(value_of(mem, "cart:u"), tombstone.nonce);
        cache_fill(&work, "u", &tombstone, &value);
        assert_string_equal(value_of(mem, "cart:u"), "V 7 8 u\n{}");
    }
    talloc_free_children(mem);
}

static void prove_the_master(void *mem)
{
    struct work work = new_work(mem);
    struct cache_claim claim;
    struct cache_value value;
    int64_t hit_epoch;
    epoch.mode = CACHE_MASTER;
    ask(mem, master, "SET cart:u V\r7\r8\ru\n{}");
    set_heartbeat(mem, CACHE_MASTER, epoch.replid);
    assert_true(cache_read(&work, "u", &value, &claim));
    assert_int_equal(value.version, 8);
    assert_string_equal(work.redis_node, "master");
    // Nothing of the cart, and still what to claim it under.
    assert_false(cache_read(&work, "v", &value, &claim));
    assert_int_equal(claim.epoch, EPOCH);
    // Sent to another master, or to this one before it was one again.
    set_heartbeat(mem, CACHE_MASTER, "0123456789012345678901234567890123456789");
    assert_false(cache_read(&work, "u", &value, &claim));
    set_heartbeat(mem, CACHE_MASTER, "-");
    assert_false(cache_read(&work, "u", &value, &claim));
    ask(mem, master, "DEL %s", lease_key());
    assert_false(cache_read(&work, "u", &value, &claim));
    assert_int_equal(claim.epoch, 0);
    // A replica has the same values, heartbeat and even replid, but not the role.
    set_heartbeat(mem, CACHE_MASTER, epoch.replid);
    ask(mem, master, "WAIT 1 1000");
    redis_set_master(replica);
    assert_false(cache_read(&work, "u", &value, &claim));
    assert_false(cache_peek(&work, replica, "u", &value, &hit_epoch));
    redis_set_master(master);
    assert_true(cache_read(&work, "u", &value, &claim));

    epoch.mode = CACHE_REPLICAS;
    set_heartbeat(mem, CACHE_REPLICAS, epoch.replid);
    ask(mem, master, "WAIT 1 1000");
    assert_true(cache_read(&work, "u", &value, &claim));
    assert_string_equal(work.redis_node, "replica-1");
    assert_true(cache_peek(&work, replica, "u", &value, &hit_epoch));
    assert_true(cache_peek(&work, master, "u", &value, &hit_epoch));
    loop_sleep_ms(LEASE_MS + 1);
    assert_false(cache_peek(&work, replica, "u", &value, &hit_epoch));
    assert_false(cache_read(&work, "u", &value, &claim));
    talloc_free_children(mem);
}

static void forget_scripts(void *mem)
{
    struct work work = new_work(mem);
    struct cache_claim claim = {.epoch = EPOCH}, tombstone;
    struct cache_value value = {8, "{}", 2};
    struct epoch read = epoch;
    read.mode = CACHE_MASTER;
    ask(mem, master, "DEL cart:u");
    ask(mem, master, "SCRIPT FLUSH");
    cache_claim_token(&work, "u", &claim);
    assert_true(claim.held);
    hold_soon(mem, "u", &read, &tombstone);
    assert_true(tombstone.held);
    cache_fill(&work, "u", &tombstone, &value);
    assert_string_equal(value_of(mem, "cart:u"), "V 7 8 u\n{}");
    talloc_free_children(mem);
}

// Holds

static struct cache_claim claims[3];
static bool done[3];

static void hold_another(void *arg)
{
    size_t i = (size_t)((bool *)arg - done);
    void *mem = talloc_new(NULL);
    char user_id[8];
    snprintf(user_id, sizeof user_id, "u%zu", i);
    hold_soon(mem, user_id, &epoch, &claims[i]);
    done[i] = true;
    talloc_free(mem);
}

// All at once, and each is on the replica when its writer may go on.
static void hold_for_the_replica(void *mem)
{
    for (size_t i = 0; i < LENGTH(done); i++)
        co_start(hold_another, &done[i]);
    for (size_t i = 0; i < LENGTH(done); i++) {
        co_unit_until(&done[i]);
        struct redis_reply reply = ask(mem, replica, "GET cart:u%zu", i);
        assert_true(claims[i].held);
        assert_string_equal(reply.text, claims[i].nonce);
    }
    // A replica that stands still is waited for as long as its lease may last.
    kill(replica_server.pid, SIGSTOP);
    hold_long(mem, "u", &claims[0]);
    kill(replica_server.pid, SIGCONT);
    assert_true(claims[0].held);
    ask(mem, master, "WAIT 1 2000");
    hold_soon(mem, "u", &epoch, &claims[0]);
    talloc_free_children(mem);
}

// WAIT is content with any one; the one that is configured stands still.
static void hold_with_a_third(void *mem)
{
    redis_real_start(&third_server, master_server.port);
    wait_for(mem, master, "connected_slaves:2");
    while (ask(mem, master, "WAIT 2 1000").integer < 2) {
    }
    kill(replica_server.pid, SIGSTOP);
    hold_long(mem, "u", &claims[0]);
    kill(replica_server.pid, SIGCONT);
    // And with both there is no proof either: the third may have one of its own.
    hold_long(mem, "u", &claims[0]);
    redis_real_stop(&third_server);
    wait_for(mem, master, "connected_slaves:1");
    ask(mem, master, "WAIT 1 2000");
    hold_soon(mem, "u", &epoch, &claims[0]);
    talloc_free_children(mem);
}

// The script, where it must not: each comes to nothing, and no database is there to turn
// the cache off.
static void hold_elsewhere(void *mem)
{
    struct epoch read = epoch;
    bool set = true;
    char tombstone[NONCE_MAX];
    struct work work = new_work(mem);
    ask(mem, master, "SET cart:u before");
    snprintf(read.replid, sizeof read.replid, "0123456789012345678901234567890123456789");
    epoch.number++;
    epoch.mode = CACHE_OFF; // what it is meanwhile: it is followed
    for (int mode = CACHE_MASTER; mode <= CACHE_REPLICAS; mode++) {
        read.mode = (enum cache_mode)mode;
        assert_int_equal(hold_commit(&work, &read, "cart:u", tombstone, &set).code,
                         ERR_NONE);
        assert_false(set);
        assert_string_equal(value_of(mem, "cart:u"), "before");
    }
    // A replica that the epoch calls master, whatever its replid.
    read = epoch;
    read.number--;
    snprintf(read.master, sizeof read.master, "%s", redis_addr(replica));
    for (int mode = CACHE_MASTER; mode <= CACHE_REPLICAS; mode++) {
        read.mode = (enum cache_mode)mode;
        assert_int_equal(hold_commit(&work, &read, "cart:u", tombstone, &set).code,
                         ERR_NONE);
        assert_false(set);
        assert_string_equal(ask(mem, replica, "GET cart:u").text, "before");
    }
    epoch.number--;
    epoch.mode = CACHE_REPLICAS;
    talloc_free_children(mem);
}

static void go_down(void *mem)
{
    (void)mem;
    config.redis_retry_ms = 60000;
    redis_real_stop(&replica_server);
    redis_real_stop(&master_server);
    struct redis_node *nodes[] = {master, replica, redis_second(master),
                                  redis_second(replica)};
    for (size_t i = 0; i < LENGTH(nodes); i++)
        while (redis_is_up(nodes[i]))
            co_unit_yield();
    loop_sleep_ms(50);
}

#define CO_TEST(name, body)        \
    static void name(void **state) \
    {                              \
        co_unit_run(body, *state); \
    }

CO_TEST(servers_come_up, come_up)
CO_TEST(a_token_goes_over_nothing_and_older_epochs, claim_tokens)
CO_TEST(only_ones_own_claim_is_replaced, replace_claims)
CO_TEST(a_tombstone_goes_over_anything, set_tombstones)
CO_TEST(in_mode_master_the_master_proves_that_it_is, prove_the_master)
CO_TEST(scripts_may_be_forgotten, forget_scripts)
CO_TEST(a_tombstone_is_held_until_the_replica_has_it, hold_for_the_replica)
CO_TEST(a_third_replica_proves_nothing, hold_with_a_third)
CO_TEST(a_tombstone_is_for_the_epochs_master_alone, hold_elsewhere)
CO_TEST(servers_go_down, go_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(servers_come_up),
        UNIT_TEST(a_token_goes_over_nothing_and_older_epochs),
        UNIT_TEST(only_ones_own_claim_is_replaced),
        UNIT_TEST(a_tombstone_goes_over_anything),
        UNIT_TEST(in_mode_master_the_master_proves_that_it_is),
        UNIT_TEST(scripts_may_be_forgotten),
        UNIT_TEST(a_tombstone_is_held_until_the_replica_has_it),
        UNIT_TEST(a_third_replica_proves_nothing),
        UNIT_TEST(a_tombstone_is_for_the_epochs_master_alone),
        UNIT_TEST(servers_go_down),
    };
    signal(SIGPIPE, SIG_IGN);
    log_set_level(LOG_ERROR);
    redis_real_start(&master_server, NULL);
    redis_real_start(&replica_server, master_server.port);
    config.redis_master = (struct config_addr){"127.0.0.1", master_server.port};
    config.redis_replicas[0] = (struct config_addr){"127.0.0.1", replica_server.port};
    config.n_redis_replicas = 1;
    loop_init();
    redis_setup(&config);
    cache_setup(&config);
    hold_setup(&config);
    master = redis_node(0);
    replica = redis_node(1);
    return UNIT_RUN(tests);
}
