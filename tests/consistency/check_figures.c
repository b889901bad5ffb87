// What each fault cost: one line for each name of a window, all its windows together.
//
// An operation belongs to every window that it overlaps; a hit is counted as exposed in
// those it began in. Times without a success are measured between the ends of operations
// that succeeded, from the begin of the window to its end, as far as the history reaches.

#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Shorter times without a success do not add up to an outage. Writes in a hold come in
// bursts, one in each lease.
#define READ_GAP_NS 100000000LL
#define WRITE_GAP_NS 500000000LL
#define SLOW_WRITE_NS 200000000LL // nearly a lease: it was held

struct durations {
    int64_t *ns;
    size_t n, cap;
};

struct figures {
    unsigned long reads, writes, exposed, violations;
    unsigned long reads_failed, writes_refused, writes_unknown, hits;
    int64_t read_gap, read_gaps, write_gap, write_gaps, hit_gap; // longest, sum
    int64_t slow_until; // from a window's begin to the end of the last slow write
    struct durations read_ns, write_ns;
};

static void add_duration(struct durations *durations, int64_t ns)
{
    if (durations->n == durations->cap) {
        durations->cap = durations->cap > 0 ? 2 * durations->cap : 1024;
        durations->ns = must_grow(durations->ns, durations->cap, sizeof *durations->ns);
    }
    durations->ns[durations->n++] = ns;
}

static void add_op(struct figures *f, const struct op *op, int64_t window_begin)
{
    int64_t took = op->end_ns - op->begin_ns;
    bool good = op_is_known(op);
    add_duration(op->kind == OP_READ ? &f->read_ns : &f->write_ns, took);
    if (op->kind == OP_READ) {
        f->reads++;
        f->hits += good && op->cache == OP_CACHE_HIT;
        f->reads_failed += !good;
        return;
    }
    f->writes++;
    f->writes_unknown += op_is_doubtful(op);
    f->writes_refused += !good && !op_is_doubtful(op);
    if (took > SLOW_WRITE_NS && op->end_ns - window_begin > f->slow_until)
        f->slow_until = op->end_ns - window_begin;
}

// Times without

struct gap {
    int64_t last, counted; // counted: the shortest that goes into the sum
    int64_t longest, sum;
};

static void end_gap(struct gap *gap, int64_t now)
{
    int64_t length = now - gap->last;
    gap->last = now;
    gap->longest = length > gap->longest ? length : gap->longest;
    gap->sum += length > gap->counted ? length : 0;
}

static void raise_to(int64_t *highest, int64_t value)
{
    *highest = value > *highest ? value : *highest;
}

// The first operation in by_end that ends at `time` or later.
static uint32_t first_end(const struct run *run, int64_t time)
{
    uint32_t low = 0, high = run->n_ops;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (run->ops[run->by_end[middle]].end_ns < time)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void add_gaps(struct figures *f, const struct run *run, int64_t begin, int64_t end)
{
    struct gap reads = {.last = begin, .counted = READ_GAP_NS};
    struct gap writes = {.last = begin, .counted = WRITE_GAP_NS};
    struct gap hits = {.last = begin};
    for (uint32_t i = first_end(run, begin); i < run->n_ops; i++) {
        const struct op *op = &run->ops[run->by_end[i]];
        if (op->end_ns > end)
            break;
        if (!op_is_known(op))
            continue;
        end_gap(op->kind == OP_READ ? &reads : &writes, op->end_ns);
        if (op->cache == OP_CACHE_HIT)
            end_gap(&hits, op->end_ns);
    }
    end_gap(&reads, end);
    end_gap(&writes, end);
    end_gap(&hits, end);
    raise_to(&f->read_gap, reads.longest);
    raise_to(&f->write_gap, writes.longest);
    raise_to(&f->hit_gap, hits.longest);
    f->read_gaps += reads.sum;
    f->write_gaps += writes.sum;
}

// Windows

static bool overlaps(const struct op *op, int64_t begin, int64_t end)
{
    return op->begin_ns <= end && op->end_ns >= begin;
}

// Counts all but the violations.
static void add_window(struct figures *f, const struct run *run, int64_t begin,
                       int64_t end)
{
    begin = begin > run->begin_ns ? begin : run->begin_ns;
    end = end < run->end_ns ? end : run->end_ns;
    if (begin > end)
        return;
    for (uint32_t i = first_end(run, begin); i < run->n_ops; i++) {
        const struct op *op = &run->ops[run->by_end[i]];
        if (op->end_ns - run->longest_ns > end) // nor does any later one overlap
            break;
        if (!overlaps(op, begin, end))
            continue;
        add_op(f, op, begin);
        f->exposed += op->exposed && op->begin_ns >= begin && op->begin_ns <= end;
    }
    add_gaps(f, run, begin, end);
}

// Adds up the windows of this name.
static void add_name(struct figures *f, const struct run *run, uint32_t name)
{
    for (uint32_t i = 0; i < run->n_windows; i++) {
        const struct window *window = &run->windows[i];
        if (window->name != name)
            continue;
        add_window(f, run, window->begin_ns, window->end_ns);
        for (uint32_t k = 0; k < run->n_violations; k++)
            f->violations += run->violations[k].op != NOBODY &&
                             overlaps(&run->ops[run->violations[k].op], window->begin_ns,
                                      window->end_ns);
    }
}

// Each exposed read once, if it began in any window; windows are sorted by begin.
static unsigned long count_exposed(const struct run *run)
{
    unsigned long found = 0;
    int64_t until = INT64_MIN;
    uint32_t next = 0;
    for (uint32_t i = 0; i < run->n_ops; i++) {
        const struct op *op = &run->ops[run->by_begin[i]];
        for (; next < run->n_windows && run->windows[next].begin_ns <= op->begin_ns;
             next++)
            raise_to(&until, run->windows[next].end_ns);
        found += op->exposed && (op->begin_ns <= until || run->anywhere);
    }
    return found;
}

static void add_total(struct figures *f, const struct run *run)
{
    add_window(f, run, run->begin_ns, run->end_ns);
    f->exposed = count_exposed(run);
    f->violations = run->n_violations;
}

// Printing

static int compare_ns(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void print_durations(struct durations *durations)
{
    size_t n = durations->n;
    int64_t median = 0, slowest = 0;
    if (n > 0) {
        qsort(durations->ns, n, sizeof *durations->ns, compare_ns);
        median = durations->ns[n / 2];
        slowest = durations->ns[n - 1];
    }
    printf("\t%.3f\t%.3f", (double)median / 1e6, (double)slowest / 1e6);
    free(durations->ns);
}

static void print_line(struct figures *f, const char *name)
{
    printf("%s\t%lu\t%lu\t%lu\t%lu\t%lu", name, f->reads + f->writes, f->reads, f->writes,
           f->exposed, f->violations);
    printf("\t%lld\t%lld\t%lld\t%lld", (long long)f->read_gap, (long long)f->write_gap,
           (long long)f->read_gaps, (long long)f->write_gaps);
    printf("\t%lu\t%lu\t%lu\t%lu\t%lld", f->reads_failed, f->writes_refused,
           f->writes_unknown, f->hits, (long long)f->hit_gap);
    print_durations(&f->read_ns);
    print_durations(&f->write_ns);
    printf("\t%.3f\n", (double)f->slow_until / 1e6);
}

void figures_print(const struct run *run)
{
    puts("name\tops\treads\twrites\texposed\tviolations"
         "\tunavailable_reads_ns\tunavailable_writes_ns"
         "\tunavailable_reads_sum_ns\tunavailable_writes_sum_ns"
         "\treads_failed\twrites_refused\twrites_unknown\thits\tlongest_without_hit_ns"
         "\tread_p50_ms\tread_max_ms\twrite_p50_ms\twrite_max_ms\twrites_slow_until_ms");
    for (uint32_t name = 0; name < run->window_names.n; name++) {
        struct figures f = {0};
        add_name(&f, run, name);
        print_line(&f, run->window_names.text[name]);
    }
    struct figures total = {0};
    add_total(&total, run);
    print_line(&total, "total");
}
