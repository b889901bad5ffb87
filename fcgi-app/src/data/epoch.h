// The epoch: a number that PostgreSQL gives to each state of the cache.
//
// One row says which node is the master, by address and replication id, and how the cache
// may be used (sql/0004-cache-epoch.sql). Every change of it raises the number by one,
// and so does every change of carts by other hands than the service's. Invariant: two
// states never have the same number, and what was put into Redis under one number is
// never used under another.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/work.h"
#include "data/pg.h"

// Where hits may come from: nowhere, the master alone, any node.
enum cache_mode { CACHE_OFF, CACHE_MASTER, CACHE_REPLICAS, CACHE_MODE__MAX };

#define REDIS_ADDR_MAX 272 // host:port
#define REPLID_MAX 41

struct epoch {
    int64_t number;
    enum cache_mode mode;
    char master[REDIS_ADDR_MAX]; // as configured, "" if there never was one
    char replid[REPLID_MAX];
};

// The columns of a statement that reads the epoch FROM cache_state AS e, for epoch_of().
#define EPOCH_SQL "e.epoch, e.mode, e.master, e.master_replid"
#define EPOCH_COLUMNS "epoch,mode,master,master_replid"

// Registers statements and metrics. After pg_setup().
void epoch_setup(void);

// The mode's name in SQL, Redis and metrics: off, master, replicas. The second is false
// for any other text.
const char *epoch_mode_name(enum cache_mode mode);
bool epoch_mode_parse(const char *text, size_t len, enum cache_mode *mode);

// The four columns of EPOCH_SQL, from first_column on. Learns it.
struct epoch epoch_of(const struct pg_rows *rows, size_t row, int first_column);

// Asks PostgreSQL, on a connection of `use`. *restarted, unless NULL: the server has been
// started again since the epoch last moved. Errors as pg_acquire() and pg_trip().
struct err epoch_read(struct work *work, enum pg_use use, struct epoch *out,
                      bool *restarted) must_check;

// Moves from the epoch numbered `from` to a new one with this mode, master and replid, in
// a transaction of its own on a connection of `use`. *now is the epoch afterwards: the
// new one, or what somebody else has moved to meanwhile. Errors as epoch_read(); then
// whether it moved is unknown.
struct err epoch_move(struct work *work, enum pg_use use, int64_t from,
                      enum cache_mode mode, const char *master, const char *replid,
                      struct epoch *now, bool *moved) must_check;

// Makes the raises by other hands part of the number, which stays: each read of it counts
// them. Errors as epoch_read().
struct err epoch_fold(struct work *work, enum pg_use use) must_check;

// The newest epoch this process has read; its number is 0 before the first.
const struct epoch *epoch_known(void);

// When this process first read the epoch of that number, as clock_mono_ns(); now, if it
// never did, or no longer knows.
int64_t epoch_first_read(int64_t number);
