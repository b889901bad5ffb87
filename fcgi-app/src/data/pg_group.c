// Places in shared transactions, and the coroutine that runs each of those.
//
// A group gathers places until it has a connection; at most one group gathers. While few
// transactions are under way it asks for one at once, else it waits a moment for company.
// Invariant: a place is in its group's list until it is answered for the last time or
// leaves; the group touches none that is not in its list, but for the last to leave, who
// waits to be told. Every place's wait ends by its own deadline, so no group waits for
// ever.
//
// In company nobody waits for a lock: not for a cart's, by the statements (pg_group.h),
// and hardly for those of rows and tables, which only other hands hold for long
// (lock_timeout). So groups cannot deadlock, and who waits has only itself to wait.

#include "data/pg_group.h"

#include <talloc.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "loop/co.h"

#define MS 1000000LL

// In one trip: BEGIN, BRIEF_LOCKS, and what each place adds.
#define PLACES_MAX ((PG_TRIP_MAX - 2) / PG_PLACE_TRIP_MAX)

// Transactions under way from which on a further one waits for company, and for how long
// at most. Two keep two cores busy; the more there are, the fewer writes share one.
#define FEW 2
#define COMPANY_NS (2 * MS)

static const struct pg_stmt stmts[] = {
#define BRIEF_LOCKS (&stmts[0])
    {"brief_locks", 0, "", "SET LOCAL lock_timeout = 100"},
};

struct pg_group {
    struct co *co; // runs it; NULL until it does
    struct pg_place *places;
    size_t n, asking;
    bool sent;               // a trip has begun and is not answered yet
    struct pg_place *leaver; // who left last and waits for the end
};

static struct pg_group *gathering;
static unsigned under_way;
static struct metric *transactions, *places;

void pg_group_setup(void)
{
    pg_register(stmts, sizeof stmts / sizeof *stmts);
    transactions = metrics_counter("carrito_write_transactions_total",
                                   "Transactions that carried writes.", "");
    places = metrics_counter("carrito_write_places_total",
                             "Writes in them, with those that were tried again.", "");
}

// Places

static void stir(const struct pg_group *group)
{
    if (group->co && !group->sent)
        co_wake(group->co);
}

static void ask(struct pg_place *place, pg_add_fn *add, const void *arg,
                struct pg_rows **rows)
{
    place->add = add;
    place->arg = arg;
    place->rows = rows;
    place->answered = false;
    place->asks = true;
    place->group->asking++;
}

static void leave(struct pg_place *place)
{
    struct pg_group *group = place->group;
    struct pg_place **at = &group->places;
    while (*at != place)
        at = &(*at)->next;
    *at = place->next;
    group->n--;
    group->asking -= place->asks;
    stir(group);
}

// Waits for the group's answer: for its trip to begin until `unsent`, then until the
// work's deadline. False: left without one; *sent says whether the trip had begun.
static bool answered(struct pg_place *place, int64_t unsent, bool *sent)
{
    int64_t begun = clock_mono_ns();
    while (!place->answered) {
        *sent = place->group->sent;
        bool woken = co_wait(*sent ? place->work->deadline : unsent);
        if (woken || place->answered || place->group->sent != *sent)
            continue;
        leave(place);
        break;
    }
    place->work->db_ns += clock_mono_ns() - begun;
    return place->answered;
}

// Groups

// What the group's trip came to, for every place; the last trip's ends them.
static void answer(struct pg_group *group, struct err err, bool last)
{
    struct pg_place *next;
    for (struct pg_place *place = group->places; place; place = next) {
        next = place->next;
        place->err = err;
        if (err.field)
            place->err.field = mem_printf(place->work->mem, "%s", err.field);
        if (err.detail)
            place->err.detail = mem_printf(place->work->mem, "%s", err.detail);
        place->asks = false;
        place->answered = true;
        co_wake(place->co);
    }
    group->sent = false;
    group->asking = 0;
    if (last) {
        group->places = NULL;
        group->n = 0;
    }
}

// One trip: the head, what all places ask, the tail. *refused: the server said no to one
// of the places. Of those that leave meanwhile nobody wants the results.
static struct err trip(struct pg_group *group, struct work *work, struct pg_conn *conn,
                       const struct pg_stmt *const *head, size_t n_head,
                       const struct pg_stmt *tail, bool *refused)
{
    struct pg_place *asked[PLACES_MAX] = {0};
    size_t counts[PLACES_MAX] = {0}, n = 0;
    struct pg_rows *rows[PG_TRIP_MAX], **row = rows + n_head;
    work->deadline = 0;
    for (size_t i = 0; i < n_head; i++)
        pg_add(conn, head[i], NULL);
    for (struct pg_place *p = group->places; p; p = p->next) {
        asked[n] = p;
        counts[n++] = p->add(conn, p->shared, p->arg);
        if (work->deadline < p->work->deadline)
            work->deadline = p->work->deadline;
    }
    if (tail)
        pg_add(conn, tail, NULL);
    group->sent = true;
    struct err err = pg_trip(work, conn, rows);
    *refused = false;
    struct pg_place *p = group->places;
    for (size_t i = 0; i < n; row += counts[i++]) {
        bool there = p == asked[i];
        for (size_t j = 0; j < counts[i]; j++) {
            *refused = *refused || (row[j] && !pg_ok(row[j]));
            if (there)
                p->rows[j] = row[j] ? talloc_steal(p->work->mem, row[j]) : NULL;
        }
        if (there)
            p = p->next;
    }
    return err;
}

// Whose statement it was that the server refused is not known in company.
static struct err in_company(bool shared, bool refused, struct err err)
{
    if (!shared || !refused)
        return err;
    return err_make(ERR_CONFLICT, NULL, "a write of the transaction was refused");
}

static void transact(struct pg_group *group, struct work *work, struct pg_conn *conn)
{
    bool shared = group->n > 1, refused;
    for (struct pg_place *p = group->places; p; p = p->next)
        p->shared = shared;
    if (!shared && group->places->log_id)
        co_set_log_id(mem_printf(work->mem, "%s", group->places->log_id));
    metrics_add(transactions, 1);
    metrics_add(places, group->n);
    static const struct pg_stmt *const head[] = {&pg_begin, BRIEF_LOCKS};
    struct err err = trip(group, work, conn, head, shared ? 2 : 1, NULL, &refused);
    if (err_is(err)) {
        pg_abandon(work, conn);
        answer(group, in_company(shared, refused, err), true);
        return;
    }
    answer(group, err, false);
    while (group->asking < group->n)
        co_wait(CO_FOREVER);
    if (group->n == 0) {
        pg_abandon(work, conn);
        return;
    }
    err = trip(group, work, conn, NULL, 0, &pg_commit, &refused);
    if (err_is(err) && (refused || !pg_was_sent(conn))) {
        pg_abandon(work, conn);
        err = in_company(shared, refused, err);
    } else if (err_is(err)) {
        err = err_make(ERR_OUTCOME_UNKNOWN, NULL, "no answer came to COMMIT");
    }
    answer(group, err, true);
}

// Who wants to be alone does not gather, and so goes at once.
static void wait_for_company(const struct pg_group *group)
{
    int64_t until = clock_mono_ns() + COMPANY_NS;
    while (under_way >= FEW && gathering == group && co_wait(until)) {
    }
}

static int64_t latest_start(const struct pg_group *group)
{
    int64_t latest = 0;
    for (const struct pg_place *p = group->places; p; p = p->next)
        if (latest < p->work->start_by)
            latest = p->work->start_by;
    return latest;
}

// Waits as long as anybody in the group may: who joined later may wait for longer.
static struct err acquire(const struct pg_group *group, struct work *work,
                          struct pg_conn **conn)
{
    struct err err;
    do {
        work->start_by = latest_start(group);
        err = pg_acquire(work, PG_WRITE, conn);
    } while (err.code == ERR_OVERLOADED && latest_start(group) > clock_mono_ns());
    return err;
}

static void run_group(void *arg)
{
    struct pg_group *group = arg;
    group->co = co_self();
    wait_for_company(group);
    struct work work = pg_chore();
    struct pg_conn *conn;
    struct err err = acquire(group, &work, &conn);
    if (gathering == group)
        gathering = NULL;
    if (err_is(err)) {
        answer(group, err, true);
    } else {
        under_way++;
        if (group->n > 0)
            transact(group, &work, conn);
        pg_release(conn);
        under_way--;
        if (gathering)
            stir(gathering);
    }
    co_set_log_id(NULL);
    if (group->leaver) {
        group->leaver->answered = true;
        co_wake(group->leaver->co);
    }
    talloc_free(work.mem);
    talloc_free(group);
}

static struct pg_group *find_group(bool alone)
{
    if (!alone && gathering)
        return gathering;
    struct pg_group *group = mem_zero(NULL, struct pg_group);
    if (!alone)
        gathering = group;
    co_start(run_group, group);
    return group;
}

// What writers call

struct err pg_group_begin(struct work *work, struct pg_place *place, bool alone,
                          pg_add_fn *add, const void *arg,
                          struct pg_rows *rows[PG_PLACE_TRIP_MAX])
{
    struct pg_group *group = find_group(alone);
    *place = (struct pg_place){
        .group = group,
        .work = work,
        .co = co_self(),
        .log_id = co_log_id(),
        .next = group->places,
    };
    group->places = place;
    ask(place, add, arg, rows);
    if (++group->n == PLACES_MAX && gathering == group) {
        gathering = NULL;
        stir(group);
    }
    bool sent;
    if (answered(place, work->start_by, &sent))
        return place->err;
    return sent
               ? err_make(ERR_DATABASE_UNAVAILABLE, NULL, "no answer within the deadline")
               : pg_none_free(PG_WRITE);
}

struct err pg_group_commit(struct pg_place *place, pg_add_fn *add, const void *arg,
                           struct pg_rows *rows[PG_PLACE_TRIP_MAX])
{
    ask(place, add, arg, rows);
    if (place->group->asking == place->group->n)
        stir(place->group);
    bool sent;
    if (answered(place, place->work->deadline - COMMIT_NS, &sent))
        return place->err;
    return sent ? err_make(ERR_OUTCOME_UNKNOWN, NULL, "no answer came to COMMIT in time")
                : err_make(ERR_OVERLOADED, NULL, "too little time was left to commit");
}

void pg_group_leave(struct pg_place *place)
{
    struct pg_group *group = place->group;
    int64_t begun = clock_mono_ns();
    leave(place);
    if (group->n > 0)
        return;
    place->answered = false;
    group->leaver = place;
    while (!place->answered)
        if (!co_wait(place->work->deadline) && !place->answered) {
            group->leaver = NULL;
            break;
        }
    place->work->db_ns += clock_mono_ns() - begun;
}
