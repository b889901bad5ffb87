// Transactions that several writers share.
//
// What a write costs PostgreSQL is for a good part its transaction: two trips, the start
// and the end of it, the flush of its log. So the writes that are under way at the same
// time take places in one transaction, each with its own statements and its own results;
// two trips and one COMMIT carry them all. A write that meets nobody has one for itself,
// at once. What fails in company says nothing about each of those in it: they are told to
// try again, alone.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "data/pg.h"

// Statements that one place may add to a trip.
#define PG_PLACE_TRIP_MAX 3

// COMMIT is not sent with less time than this left for its answer, in ns.
#define COMMIT_NS 50000000LL

// Adds what a place has in the next trip; returns how many statements that were. In a
// shared transaction none of them may wait for a lock, as all others would wait too.
typedef size_t pg_add_fn(struct pg_conn *conn, bool shared, const void *arg);

// A place in a transaction, on its writer's stack.
struct pg_place {
    bool shared; // after pg_group_begin(): others are in the transaction, too

    // For pg_group.c alone.
    struct pg_group *group;
    struct work *work;
    struct co *co;
    const char *log_id;
    pg_add_fn *add;
    const void *arg;
    struct pg_rows **rows;
    struct err err;
    bool asks, answered;
    struct pg_place *next;
};

// Registers statements and metrics. After pg_setup().
void pg_group_setup(void);

// Takes a place, in a transaction of its own if `alone`, and makes the first trip: BEGIN,
// then what add(conn, shared, arg) adds; rows[i] is the result of its i-th statement, on
// work->mem. After an error the place is left.
// Errors: those of pg_acquire() and pg_trip(); ERR_CONFLICT also where the trip of a
// shared transaction was refused: try again, alone. Nothing is begun after
// work->start_by. Coroutines only.
struct err pg_group_begin(struct work *work, struct pg_place *place, bool alone,
                          pg_add_fn *add, const void *arg,
                          struct pg_rows *rows[PG_PLACE_TRIP_MAX]) must_check;

// Makes the second trip, with what add() adds, and COMMIT, as soon as all who are still
// in the transaction have asked for it. The place is left.
// Errors: ERR_OVERLOADED, too little time was left to begin; those of pg_trip(), nothing
// was committed; ERR_CONFLICT also where a shared one was refused: try again,
// alone; ERR_OUTCOME_UNKNOWN, it was sent, and no answer came. Coroutines only.
struct err pg_group_commit(struct pg_place *place, pg_add_fn *add, const void *arg,
                           struct pg_rows *rows[PG_PLACE_TRIP_MAX]) must_check;

// Leaves the transaction without having changed anything; the last one to do so waits for
// its ROLLBACK. Coroutines only.
void pg_group_leave(struct pg_place *place);
