// The rules. Each cart is judged by itself, its operations sorted three times: by begin,
// by end, by version; every rule is a walk along one or two of these orders, so the whole
// takes O(n log n).
//
// Why these rules suffice: each committed write makes the next version, so operations are
// in the order of their versions, a write before the reads of what it made. That this
// order agrees with real time, for every two operations of which one ended before the
// other began, is what stale-read, write-order, duplicate-version and read-before-write
// say, and unexplained-version for writes that nobody acknowledged. content and units say
// that a version is one cart, lost-write that it stays.

#include "check.h"

#include <stdlib.h>
#include <string.h>

#define LEASE_NS 300000000LL
#define EXPOSED_NS (2 * LEASE_NS) // after a write has ended

// One cart under judgement.
struct judged {
    struct run *run;
    uint32_t cart, n;
    const uint32_t *by_begin, *by_end; // its operations
    uint32_t *by_version;              // those whose version is known
    uint32_t n_known;
    int64_t *deadlines; // of by_version: see find_deadlines
    struct final_cart final;
};

static const struct op *op_of(const struct judged *j, uint32_t number)
{
    return &j->run->ops[number];
}

static void violate(const struct judged *j, enum rule rule, uint32_t op, uint32_t other,
                    int64_t version, int64_t count)
{
    run_add_violation(j->run, (struct violation){.rule = rule,
                                                 .cart = j->cart,
                                                 .op = op,
                                                 .other = other,
                                                 .version = version,
                                                 .count = count});
}

// One answer by itself

static bool is_expected(const struct op *op)
{
    switch (op->status) {
    case 0:
    case 200:
    case 502:
    case 503:
    case 504:
        return true;
    case 201:
        return op->kind == OP_WRITE;
    default:
        return false;
    }
}

static void check_answers(const struct judged *j)
{
    for (uint32_t i = 0; i < j->n; i++) {
        uint32_t number = j->by_begin[i];
        const struct op *op = op_of(j, number);
        if (!is_expected(op))
            violate(j, RULE_UNEXPECTED_STATUS, number, NOBODY, 0, 0);
        else if (op_is_known(op) ? op->units == OP_UNKNOWN
                                 : op->status == 200 || op->status == 201)
            violate(j, RULE_MALFORMED, number, NOBODY, 0, 0);
        else if (op_is_known(op) && op->units != op->version)
            violate(j, RULE_UNITS, number, NOBODY, op->version, op->units);
    }
    if (j->final.units != j->final.version)
        violate(j, RULE_UNITS, NOBODY, NOBODY, j->final.version, j->final.units);
}

// The order in time

static void check_freshness(const struct judged *j)
{
    uint32_t latest = NOBODY, ended = 0; // latest: of what has ended, the highest version
    for (uint32_t i = 0; i < j->n; i++) {
        const struct op *op = op_of(j, j->by_begin[i]);
        for (; ended < j->n; ended++) {
            const struct op *before = op_of(j, j->by_end[ended]);
            if (before->end_ns >= op->begin_ns)
                break;
            if (op_is_known(before) &&
                (latest == NOBODY || before->version > op_of(j, latest)->version))
                latest = j->by_end[ended];
        }
        // A write of the very version that was there already is a duplicate, or was read
        // before: check_version tells.
        if (op_is_known(op) && latest != NOBODY &&
            op->version < op_of(j, latest)->version)
            violate(j, op->kind == OP_READ ? RULE_STALE_READ : RULE_WRITE_ORDER,
                    j->by_begin[i], latest, 0, 0);
    }
}

static void mark_exposed(const struct judged *j)
{
    int64_t until = INT64_MIN;
    for (uint32_t i = 0; i < j->n; i++) {
        struct op *op = &j->run->ops[j->by_begin[i]];
        bool effect = op_is_known(op) || op_is_doubtful(op);
        if (op->kind == OP_WRITE && effect && op->end_ns + EXPOSED_NS > until)
            until = op->end_ns + EXPOSED_NS;
        op->exposed =
            op->kind == OP_READ && op->cache == OP_CACHE_HIT && op->begin_ns <= until;
    }
}

// The order by version

static int compare_version(const void *a, const void *b, void *arg)
{
    const struct op *ops = arg, *x = &ops[*(const uint32_t *)a],
                    *y = &ops[*(const uint32_t *)b];
    if (x->version != y->version)
        return x->version < y->version ? -1 : 1;
    if (x->kind != y->kind)
        return x->kind == OP_WRITE ? -1 : 1;
    return (x->end_ns > y->end_ns) - (x->end_ns < y->end_ns);
}

static void sort_versions(struct judged *j)
{
    j->n_known = 0;
    for (uint32_t i = 0; i < j->n; i++)
        if (op_is_known(op_of(j, j->by_end[i])))
            j->by_version[j->n_known++] = j->by_end[i];
    qsort_r(j->by_version, j->n_known, sizeof *j->by_version, compare_version,
            j->run->ops);
}

// All operations of one version: the first is its write if it was acknowledged, else the
// read that ended first.
static void check_version(const struct judged *j, const uint32_t *ops, uint32_t n)
{
    const struct op *first = op_of(j, ops[0]);
    if (first->version > j->final.version)
        violate(j, RULE_LOST_WRITE, ops[0], NOBODY, j->final.version, 0);
    for (uint32_t i = 1; i < n; i++) {
        const struct op *op = op_of(j, ops[i]);
        if (op->kind == OP_WRITE)
            violate(j, RULE_DUPLICATE_VERSION, ops[i], ops[0], first->version, 0);
        else if (op->hash != first->hash)
            violate(j, RULE_CONTENT, ops[i], ops[0], first->version, 0);
        if (first->kind == OP_WRITE && op->kind == OP_READ &&
            op->end_ns < first->begin_ns)
            violate(j, RULE_READ_BEFORE_WRITE, ops[i], ops[0], first->version, 0);
    }
}

static void check_versions(const struct judged *j)
{
    for (uint32_t i = 0, n; i < j->n_known; i += n) {
        int64_t version = op_of(j, j->by_version[i])->version;
        for (n = 1; i + n < j->n_known; n++)
            if (op_of(j, j->by_version[i + n])->version != version)
                break;
        check_version(j, j->by_version + i, n);
    }
}

// Versions that nobody acknowledged

// deadlines[i]: the first end of an operation that saw by_version[i]'s version or a later
// one; until then the writes of all versions up to that one must have begun.
static void find_deadlines(const struct judged *j)
{
    int64_t deadline = INT64_MAX;
    for (uint32_t i = j->n_known; i-- > 0;) {
        int64_t end = op_of(j, j->by_version[i])->end_ns;
        deadline = end < deadline ? end : deadline;
        j->deadlines[i] = deadline;
    }
}

// The next write of unknown outcome in order of begin, from *at on; NOBODY: no more.
static uint32_t next_doubtful(const struct judged *j, uint32_t *at)
{
    while (*at < j->n) {
        uint32_t number = j->by_begin[(*at)++];
        if (op_is_doubtful(op_of(j, number)))
            return number;
    }
    return NOBODY;
}

static int64_t count_doubtful(const struct judged *j)
{
    int64_t n = 0;
    for (uint32_t i = 0; i < j->n; i++)
        n += op_is_doubtful(op_of(j, j->by_begin[i]));
    return n;
}

// Gives each version that nobody acknowledged a write of unknown outcome that began in
// time. Both are taken in order, which finds a way to do so if there is one: deadlines
// grow with the version.
static void check_gaps(const struct judged *j)
{
    uint32_t at = 0, i = 0;
    for (int64_t version = 1; version <= j->final.version; version++) {
        while (i < j->n_known && op_of(j, j->by_version[i])->version < version)
            i++;
        const struct op *seen = i < j->n_known ? op_of(j, j->by_version[i]) : NULL;
        if (seen && seen->version == version && seen->kind == OP_WRITE)
            continue;
        uint32_t write = next_doubtful(j, &at);
        if (write == NOBODY || (seen && op_of(j, write)->begin_ns > j->deadlines[i])) {
            violate(j, RULE_UNEXPLAINED_VERSION, seen ? j->by_version[i] : NOBODY, write,
                    version, count_doubtful(j));
            return;
        }
    }
}

static bool was_written(const struct judged *j)
{
    for (uint32_t i = 0; i < j->n; i++) {
        const struct op *op = op_of(j, j->by_begin[i]);
        if (op->kind == OP_WRITE && (op_is_known(op) || op_is_doubtful(op)))
            return true;
    }
    return false;
}

// True when it is empty, as it must be.
static bool check_never_written(const struct judged *j)
{
    bool empty = j->final.version == 0;
    if (!empty)
        violate(j, RULE_NEVER_WRITTEN, NOBODY, NOBODY, j->final.version, 0);
    for (uint32_t i = 0; i < j->n_known; i++) {
        if (op_of(j, j->by_version[i])->version == 0)
            continue;
        violate(j, RULE_NEVER_WRITTEN, j->by_version[i], NOBODY, 0, 0);
        empty = false;
    }
    return empty;
}

// All carts

static void judge(struct judged *j)
{
    check_answers(j);
    check_freshness(j);
    mark_exposed(j);
    sort_versions(j);
    if (!was_written(j) && !check_never_written(j))
        return;
    check_versions(j);
    find_deadlines(j);
    check_gaps(j);
}

// The operations of `order` by cart; those of cart c begin at starts[c].
static uint32_t *by_cart(const struct run *run, const uint32_t *order,
                         const uint32_t *starts)
{
    uint32_t *found = must_alloc(run->n_ops, sizeof *found);
    uint32_t *next = must_alloc(run->carts.n, sizeof *next);
    memcpy(next, starts, run->carts.n * sizeof *next);
    for (uint32_t i = 0; i < run->n_ops; i++)
        found[next[run->ops[order[i]].cart]++] = order[i];
    free(next);
    return found;
}

void order_check(struct run *run)
{
    uint32_t *starts = must_alloc(run->carts.n + 1UL, sizeof *starts);
    for (uint32_t i = 0; i < run->n_ops; i++)
        starts[run->ops[i].cart + 1]++;
    for (uint32_t cart = 0; cart < run->carts.n; cart++)
        starts[cart + 1] += starts[cart];
    uint32_t *begins = by_cart(run, run->by_begin, starts);
    uint32_t *ends = by_cart(run, run->by_end, starts);
    struct judged j = {.run = run,
                       .by_version = must_alloc(run->n_ops, sizeof *j.by_version),
                       .deadlines = must_alloc(run->n_ops, sizeof *j.deadlines)};
    for (j.cart = 0; j.cart < run->carts.n; j.cart++) {
        j.n = starts[j.cart + 1] - starts[j.cart];
        j.by_begin = begins + starts[j.cart];
        j.by_end = ends + starts[j.cart];
        j.final = run->final[j.cart];
        judge(&j);
    }
    free(j.by_version);
    free(j.deadlines);
    free(begins);
    free(ends);
    free(starts);
}
