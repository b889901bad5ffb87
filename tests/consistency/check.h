// A run that is checked: its history, what the database held in the end, the windows of
// its faults, and the violations found.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "history.h"

#define NOBODY UINT32_MAX // no operation

// X(rule, its name). All are per cart, and PostgreSQL's version is the order of a cart.
//
// stale-read           a read saw less than an operation that had ended before it began
// write-order          a write made a lower version than such an operation saw
// content              two bodies under one version
// read-before-write    a read saw a version whose write had not begun when the read ended
// duplicate-version    two writes were acknowledged with one version
// lost-write           a version was acknowledged or read that is above the final one
// unexplained-version  no acknowledged write made it, and of the writes of unknown
//                      outcome too few had begun when it was seen
// never-written        a cart that nobody wrote is not empty
// units                each write adds one unit, so item_count must be the version
// malformed            a good answer that tells no version, or is not this cart at it
// unexpected-status    neither the answer wanted nor one that says: not now
#define RULES(X)                                       \
    X(RULE_STALE_READ, "stale-read")                   \
    X(RULE_WRITE_ORDER, "write-order")                 \
    X(RULE_CONTENT, "content")                         \
    X(RULE_READ_BEFORE_WRITE, "read-before-write")     \
    X(RULE_DUPLICATE_VERSION, "duplicate-version")     \
    X(RULE_LOST_WRITE, "lost-write")                   \
    X(RULE_UNEXPLAINED_VERSION, "unexplained-version") \
    X(RULE_NEVER_WRITTEN, "never-written")             \
    X(RULE_UNITS, "units")                             \
    X(RULE_MALFORMED, "malformed")                     \
    X(RULE_UNEXPECTED_STATUS, "unexpected-status")

enum rule {
#define RULE_ENUM(rule, name) rule,
    RULES(RULE_ENUM) RULE__MAX
#undef RULE_ENUM
};

struct violation {
    enum rule rule;
    uint32_t cart;
    uint32_t op, other; // operations; NOBODY: of the final state
    int64_t version;    // the one that is unexplained, or the final one
    int64_t count;      // units; of unexplained-version: writes of unknown outcome
};

// Texts as numbers, 0 up.
struct names {
    char **text;
    uint32_t n, cap;
    uint32_t *slots; // of a hash table: number + 1, 0 is free
    uint32_t n_slots;
};

struct window {
    int64_t begin_ns, end_ns;
    uint32_t name;
};

struct final_cart {
    int64_t version, units; // both 0: the database has no such cart
};

struct run {
    struct op *ops;
    uint32_t n_ops;
    struct names carts, nodes, window_names;
    struct final_cart *final; // by cart
    struct window *windows;   // by begin
    uint32_t n_windows;
    bool anywhere; // no windows were given: the whole history is one
    int64_t begin_ns, end_ns, longest_ns; // longest: of all operations
    uint32_t *by_begin, *by_end;          // all operations in these orders
    struct violation *violations;
    uint32_t n_violations;
};

// Each reads a file and ends the program with a message and status 2 when it cannot: a
// history that is cut off proves nothing. The history comes first and is sorted.
void run_read_history(struct run *run, const char *path);
void run_read_final(struct run *run, const char *path);
void run_read_windows(struct run *run, const char *path);

void run_add_violation(struct run *run, struct violation violation);

void run_free(struct run *run);

// check_order.c: finds the violations, and marks the reads that are exposed.
void order_check(struct run *run);

// check_figures.c: prints a header and a line for each name of a window, then "total".
void figures_print(const struct run *run);

// check_report.c: prints the first violations in words, and how often each rule broke.
void report_violations(const struct run *run, uint32_t limit);

// Memory or the end of the program.
void *must_alloc(size_t n, size_t size);
void *must_grow(void *old, size_t n, size_t size);
