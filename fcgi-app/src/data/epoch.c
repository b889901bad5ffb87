// The epoch as this process knows it, and the statements that read and move it.

#include "data/epoch.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "data/redis.h"

static const struct pg_stmt stmts[] = {
#define READ (&stmts[0])
    {"epoch_read", 0, EPOCH_COLUMNS ",same_server",
     "SELECT " EPOCH_SQL ", e.same_server FROM cache_state AS e"},
#define MOVE (&stmts[1])
    {"epoch_move", 4, "moved", "SELECT e.moved FROM cache_move($1, $2, $3, $4) AS e"},
#define FOLD (&stmts[2])
    {"epoch_fold", 0, "moved",
     "SELECT e.moved FROM (SELECT FROM cache_raise LIMIT 1) AS any_raise"
     "  CROSS JOIN LATERAL cache_move(0, 'off', '', '') AS e"},
};

static const char *const mode_names[] = {"off", "master", "replicas"};

// The last epochs read, and when each was read first: by their number's last digits.
#define REMEMBERED 16
static struct {
    int64_t number, first_read;
} seen[REMEMBERED];

static struct epoch known;

void epoch_setup(void)
{
    pg_register(stmts, sizeof stmts / sizeof *stmts);
    memset(seen, 0, sizeof seen);
    memset(&known, 0, sizeof known);
}

const char *epoch_mode_name(enum cache_mode mode)
{
    return mode_names[mode];
}

bool epoch_mode_parse(const char *text, size_t len, enum cache_mode *mode)
{
    for (enum cache_mode m = 0; m < CACHE_MODE__MAX; m++) {
        if (strlen(mode_names[m]) == len && memcmp(mode_names[m], text, len) == 0) {
            *mode = m;
            return true;
        }
    }
    return false;
}

static void learn(const struct epoch *epoch)
{
    size_t slot = (size_t)(epoch->number % REMEMBERED);
    if (seen[slot].number < epoch->number) {
        seen[slot].number = epoch->number;
        seen[slot].first_read = clock_mono_ns();
    }
    if (epoch->number <= known.number)
        return;
    known = *epoch;
    struct redis_node *master = redis_find(known.master);
    if (master)
        redis_set_master(master);
    log_event(LOG_DEBUG, "epoch-read", LOG_INT("epoch", known.number),
              LOG_STR("mode", mode_names[known.mode]), LOG_STR("master", known.master));
}

struct epoch epoch_of(const struct pg_rows *rows, size_t row, int first_column)
{
    struct epoch epoch = {.number = pg_get_int(rows, row, first_column)};
    const char *mode = pg_get(rows, row, first_column + 1);
    if (!epoch_mode_parse(mode, strlen(mode), &epoch.mode))
        epoch.mode = CACHE_OFF;
    strncpy(epoch.master, pg_get(rows, row, first_column + 2), sizeof epoch.master - 1);
    strncpy(epoch.replid, pg_get(rows, row, first_column + 3), sizeof epoch.replid - 1);
    learn(&epoch);
    return epoch;
}

// Reads the epoch, after a move if there is one. That is asked after its COMMIT: inside,
// the number may be one that others see as the old state, raised by a commit of other
// hands that comes before this one.
static struct err trip(struct work *work, enum pg_use use, const struct pg_value *move,
                       struct epoch *out, bool *same_server, bool *moved)
{
    struct pg_conn *conn;
    struct err err = pg_acquire(work, use, &conn);
    if (err_is(err))
        return err;
    struct pg_rows *rows[PG_TRIP_MAX];
    if (move) {
        pg_add(conn, &pg_begin, NULL);
        pg_add(conn, MOVE, move);
        pg_add(conn, &pg_commit, NULL);
    }
    pg_add(conn, READ, NULL);
    err = pg_trip(work, conn, rows);
    pg_release(conn);
    if (err_is(err))
        return err;
    const struct pg_rows *state = rows[move ? 3 : 0];
    if (pg_count(state) != 1 || (move && pg_count(rows[1]) != 1))
        return err_make(ERR_INTERNAL, NULL, "cache_epoch must have one row");
    *out = epoch_of(state, 0, 0);
    *same_server = pg_get_bool(state, 0, 4);
    if (move)
        *moved = pg_get_bool(rows[1], 0, 0);
    return err_ok();
}

struct err epoch_read(struct work *work, enum pg_use use, struct epoch *out,
                      bool *restarted)
{
    bool same_server = false;
    struct err err = trip(work, use, NULL, out, &same_server, NULL);
    if (!err_is(err) && restarted)
        *restarted = !same_server;
    return err;
}

struct err epoch_move(struct work *work, enum pg_use use, int64_t from,
                      enum cache_mode mode, const char *master, const char *replid,
                      struct epoch *now, bool *moved)
{
    struct pg_value params[] = {pg_int(from), pg_text(mode_names[mode]), pg_text(master),
                                pg_text(replid)};
    bool same_server;
    return trip(work, use, params, now, &same_server, moved);
}

struct err epoch_fold(struct work *work, enum pg_use use)
{
    struct pg_conn *conn;
    struct err err = pg_acquire(work, use, &conn);
    if (err_is(err))
        return err;
    struct pg_rows *rows[PG_TRIP_MAX];
    pg_add(conn, FOLD, NULL);
    err = pg_trip(work, conn, rows);
    pg_release(conn);
    return err;
}

const struct epoch *epoch_known(void)
{
    return &known;
}

int64_t epoch_first_read(int64_t number)
{
    size_t slot = (size_t)(number % REMEMBERED);
    return seen[slot].number == number ? seen[slot].first_read : clock_mono_ns();
}
