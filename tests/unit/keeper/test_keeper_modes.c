// wrap: epoch_move redis_call pg_chore log_write keeper_gauges_show
#include "../data/metrics_unit.h"
#include "../loop/co_unit.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/config.h"
#include "base/log.h"
#include "base/mem.h"
#include "data/pg.h"
#include "data/redis.h"
#include "data/sentinel.h"
#include "keeper/keeper_gauges.h"
#include "keeper/keeper_modes.h"

static struct config config = {
    .cache = true,
    .redis_master = {"a", "1"},
    .redis_replicas = {{"b", "1"}},
    .n_redis_replicas = 1,
    .redis_timeout_ms = 100,
    .redis_retry_ms = 100,
};

// PostgreSQL's row, the master, and what happened.
static struct {
    struct epoch row;
    bool silent; // PostgreSQL is not asked any more
    int raises;  // other hands raise the number before so many of the next moves
    enum cache_mode other; // somebody moves to this mode before the next move
    bool other_moves;
    enum err_code move_err;
    int moves_asked;
    bool up, refuses;
    const char *listed; // lines of INFO
    char replid[8];
} fake;

static struct buf trace;

struct err __wrap_epoch_move(struct work *work, enum pg_use use, int64_t seen,
                             enum cache_mode mode, const char *master, const char *replid,
                             struct epoch *now, bool *moved);
struct err __wrap_redis_call(struct work *work, struct redis_node *node,
                             const struct redis_arg *args, size_t n_args,
                             struct redis_reply *reply);
struct work __wrap_pg_chore(void);
void __wrap_log_write(enum log_level level, const struct log_field *fields);
void __wrap_keeper_gauges_show(const struct epoch *epoch,
                               const struct keeper_replicas *replicas);

struct work __wrap_pg_chore(void)
{
    return (struct work){.mem = talloc_new(NULL)};
}

struct err __wrap_epoch_move(struct work *work, enum pg_use use, int64_t seen,
                             enum cache_mode mode, const char *master, const char *replid,
                             struct epoch *now, bool *moved)
{
    assert_non_null(work->mem);
    assert_int_equal(use, PG_CHORE);
    fake.moves_asked++;
    // Time passes: what these point to must stay.
    loop_sleep_ms(10);
    if (fake.move_err)
        return err_make(fake.move_err, NULL, "a fake fault");
    if (fake.raises > 0) {
        fake.raises--;
        fake.row.number++;
    }
    if (fake.other_moves) {
        fake.other_moves = false;
        fake.row.number++;
        fake.row.mode = fake.other;
    }
    *moved = seen == fake.row.number;
    if (*moved) {
        fake.row.number++;
        fake.row.mode = mode;
        snprintf(fake.row.master, sizeof fake.row.master, "%s", master);
        snprintf(fake.row.replid, sizeof fake.row.replid, "%s", replid);
    }
    *now = fake.row;
    return err_ok();
}

struct err __wrap_redis_call(struct work *work, struct redis_node *node,
                             const struct redis_arg *args, size_t n_args,
                             struct redis_reply *reply)
{
    if (node != redis_node(0) || !fake.up)
        return err_make(ERR_REDIS, NULL, "the node is down");
    if (strcmp(args[0].data, "SET") == 0) {
        assert_int_equal(n_args, 5);
        assert_string_equal(args[1].data, "carrito:probe");
        buf_add_str(&trace, fake.refuses ? "refused " : "probe ");
        *reply = (struct redis_reply){.type = REDIS_STRING, .text = "OK", .len = 2};
        return fake.refuses ? err_make(ERR_REDIS, NULL, "OOM") : err_ok();
    }
    assert_string_equal(args[0].data, "INFO");
    *reply = (struct redis_reply){.type = REDIS_STRING};
    reply->text = mem_printf(work->mem,
                             "# Replication\r\nrole:master\r\n%smaster_replid:%s\r\n"
                             "master_repl_offset:100\r\n",
                             fake.listed, fake.replid);
    reply->len = strlen(reply->text);
    return err_ok();
}

void __wrap_log_write(enum log_level level, const struct log_field *fields)
{
    (void)level;
    buf_add_str(&trace, fields[0].str);
    for (const struct log_field *f = fields + 1; f->type != LOG_TYPE_END; f++) {
        if (f->type == LOG_TYPE_INT)
            buf_printf(&trace, " %lld", (long long)f->num);
        else
            buf_printf(&trace, " %s", f->str);
    }
    buf_add_str(&trace, "; ");
}

void __wrap_keeper_gauges_show(const struct epoch *epoch,
                               const struct keeper_replicas *replicas)
{
    assert_non_null(epoch);
    assert_non_null(replicas);
}

static void check_trace(const char *expected)
{
    if (strcmp(trace.data, expected) != 0)
        fail_msg("happened: %s\nexpected: %s", trace.data, expected);
    buf_truncate(&trace, 0);
}

// As the heartbeats do.
static void read_forever(void *unused)
{
    (void)unused;
    for (;;) {
        if (!fake.silent)
            keeper_modes_read(&fake.row, false, clock_mono_ns());
        loop_sleep_ms(20);
    }
}

static void to(int64_t number, enum cache_mode mode, const char *replid)
{
    fake.row.number = number;
    fake.row.mode = mode;
    strcpy(fake.row.master, "a:1");
    strcpy(fake.row.replid, replid);
}

static void wait_for(enum cache_mode mode)
{
    int64_t until = co_unit_in_ms(3000);
    while (fake.row.mode != mode && clock_mono_ns() < until)
        co_unit_yield();
    assert_int_equal(fake.row.mode, mode);
    loop_sleep_ms(20);
}

static void nothing_is_done_before_the_epoch_is_known(void)
{
    fake.silent = fake.up = true;
    fake.listed = "slave0:ip=b,port=1,state=online,offset=100,lag=0\r\n";
    strcpy(fake.replid, "A");
    to(1, CACHE_OFF, "");
    fake.row.master[0] = '\0';
    loop_sleep_ms(300);
    check_trace("");
}

static void a_master_that_refuses_writes_is_no_use(void)
{
    fake.refuses = true;
    fake.silent = false;
    loop_sleep_ms(120);
    assert_int_equal(fake.row.mode, CACHE_OFF);
    assert_non_null(strstr(trace.data, "refused "));
    buf_truncate(&trace, 0);
    fake.refuses = false;
    wait_for(CACHE_MASTER);
    const char *said = strstr(trace.data, "probe ");
    assert_non_null(said);
    assert_string_equal(said, "probe epoch-moved 1 2 master a:1 a master was found; ");
    buf_truncate(&trace, 0);
    assert_int_equal(metrics_unit_value("carrito_keeper_moves_total{to=\"master\"}"), 1);
}

static void other_hands_do_not_stop_a_move(void)
{
    fake.raises = 3;
    strcpy(fake.replid, "B");
    loop_sleep_ms(400);
    assert_string_equal(fake.row.replid, "B");
    assert_int_equal(fake.row.number, 6);
    check_trace("epoch-moved 5 6 master a:1 the master has begun anew; ");
}

static void whoever_loses_looks_again(void)
{
    fake.other = CACHE_OFF;
    fake.other_moves = true;
    strcpy(fake.replid, "C");
    loop_sleep_ms(500);
    // To off by somebody, and from there, at once, to the master as it is now.
    check_trace("probe epoch-moved 7 8 master a:1 the master has begun anew; ");
}

static void a_move_that_fails_is_told_once(void)
{
    fake.move_err = ERR_DATABASE_UNAVAILABLE;
    strcpy(fake.replid, "D");
    loop_sleep_ms(500);
    assert_string_equal(fake.row.replid, "C");
    check_trace("epoch-not-moved a fake fault; ");
    fake.move_err = ERR_NONE;
    loop_sleep_ms(300);
    check_trace("epoch-moved 8 9 master a:1 the master has begun anew; ");
}

static void strangers_are_told_once(void)
{
    fake.listed = "slave0:ip=b,port=1,state=online,offset=100,lag=0\r\n"
                  "slave1:ip=x,port=9,state=online,offset=100,lag=0\r\n";
    loop_sleep_ms(500);
    check_trace("unknown-replica x:9; ");
    fake.listed = "";
    loop_sleep_ms(300);
    check_trace("");
}

static void the_master_is_gone(void)
{
    fake.up = false;
    wait_for(CACHE_OFF);
    check_trace("epoch-moved 9 10 off a:1 no master can be reached; ");
    fake.up = true;
    wait_for(CACHE_MASTER);
    check_trace("probe epoch-moved 10 11 master a:1 the master can be reached; ");
    assert_int_equal(metrics_unit_value("carrito_keeper_moves_total{to=\"off\"}"), 1);
}

// Without PostgreSQL nothing is decided; what was read before a move is not believed
// after it.
static void old_readings_count_for_nothing(void)
{
    fake.silent = true;
    loop_sleep_ms(1100);
    strcpy(fake.replid, "E");
    int asked = fake.moves_asked;
    loop_sleep_ms(300);
    assert_int_equal(fake.moves_asked, asked);
    check_trace("");
    struct epoch old = fake.row;
    int64_t before = clock_mono_ns();
    keeper_modes_read(&fake.row, false, before);
    loop_sleep_ms(200);
    check_trace("epoch-moved 11 12 master a:1 the master has begun anew; ");
    asked = fake.moves_asked;
    keeper_modes_read(&old, false, before);
    loop_sleep_ms(200);
    assert_int_equal(fake.moves_asked, asked);
}

static void body(void *unused)
{
    (void)unused;
    keeper_modes_start();
    co_start(read_forever, NULL);
    nothing_is_done_before_the_epoch_is_known();
    a_master_that_refuses_writes_is_no_use();
    other_hands_do_not_stop_a_move();
    whoever_loses_looks_again();
    a_move_that_fails_is_told_once();
    strangers_are_told_once();
    the_master_is_gone();
    old_readings_count_for_nothing();
}

static void moves(void **state)
{
    void *mem = talloc_new(*state);
    buf_init(&trace, mem, 256);
    co_unit_run(body, NULL);
    talloc_free(mem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(moves),
    };
    loop_init();
    redis_setup(&config);
    sentinel_setup(&config);
    keeper_modes_setup(&config);
    return UNIT_RUN(tests);
}
