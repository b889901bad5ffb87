// Violations in words, the earliest first. Times are seconds since the history's begin.

#include "check.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const rule_names[RULE__MAX] = {
#define RULE_NAME(rule, name) [rule] = (name),
    RULES(RULE_NAME)
#undef RULE_NAME
};

// "read of version 7 (HIT, replica-1) from 1.234567 to 1.235678 s"
static void say_op(const struct run *run, uint32_t number)
{
    const struct op *op = &run->ops[number];
    printf("%s", op->kind == OP_WRITE ? "write" : "read");
    if (op->kind == OP_WRITE)
        printf(" %.*s", op->id_len, op->id);
    if (op_is_known(op))
        printf(" of version %lld", (long long)op->version);
    printf(" (%s", op->kind == OP_WRITE ? "" : op_cache_name(op->cache));
    if (op->kind == OP_WRITE || !op_is_known(op))
        printf("%sstatus %d", op->kind == OP_WRITE ? "" : ", ", op->status);
    printf(", %s) from %.6f to %.6f s", run->nodes.text[op->node],
           (double)(op->begin_ns - run->begin_ns) / 1e9,
           (double)(op->end_ns - run->begin_ns) / 1e9);
}

// An operation and a word between two of them.
static void say_both(const struct run *run, const struct violation *v,
                     const char *between)
{
    say_op(run, v->op);
    printf("%s", between);
    say_op(run, v->other);
}

static void say_unexplained(const struct run *run, const struct violation *v)
{
    printf("nobody acknowledged version %lld", (long long)v->version);
    if (v->op != NOBODY) {
        printf(", seen by ");
        say_op(run, v->op);
    }
    printf("; of %lld writes of unknown outcome ", (long long)v->count);
    if (v->other != NOBODY) {
        printf("the next is too late: ");
        say_op(run, v->other);
    } else {
        printf("none is left to explain it");
    }
}

static void say(const struct run *run, const struct violation *v)
{
    printf("violation: %s: cart %s: ", rule_names[v->rule], run->carts.text[v->cart]);
    switch (v->rule) {
    case RULE_STALE_READ:
    case RULE_WRITE_ORDER:
        say_both(run, v, " after the end of ");
        break;
    case RULE_CONTENT:
        say_both(run, v, " has another body than ");
        break;
    case RULE_READ_BEFORE_WRITE:
        say_both(run, v, " before the begin of ");
        break;
    case RULE_DUPLICATE_VERSION:
        say_both(run, v, " and ");
        break;
    case RULE_LOST_WRITE:
        say_op(run, v->op);
        printf("; the final version is %lld", (long long)v->version);
        break;
    case RULE_UNEXPLAINED_VERSION:
        say_unexplained(run, v);
        break;
    case RULE_NEVER_WRITTEN:
    case RULE_UNITS:
        if (v->op != NOBODY)
            say_op(run, v->op);
        else
            printf("the final version %lld", (long long)v->version);
        if (v->rule == RULE_UNITS)
            printf(" has %lld units", (long long)v->count);
        else
            printf(" of a cart that nobody wrote");
        break;
    case RULE_MALFORMED:
        say_op(run, v->op);
        printf(" has no ETag, or not this cart at its version as the body");
        break;
    case RULE_UNEXPECTED_STATUS:
        say_op(run, v->op);
        break;
    case RULE__MAX:
        break;
    }
    puts("");
}

// By the begin of the operation; the final state comes last.
static int compare(const void *a, const void *b, void *arg)
{
    const struct run *run = arg;
    const struct violation *x = a, *y = b;
    int64_t first = x->op == NOBODY ? INT64_MAX : run->ops[x->op].begin_ns;
    int64_t second = y->op == NOBODY ? INT64_MAX : run->ops[y->op].begin_ns;
    return (first > second) - (first < second);
}

void report_violations(const struct run *run, uint32_t limit)
{
    unsigned long by_rule[RULE__MAX] = {0};
    if (run->n_violations == 0)
        return;
    qsort_r(run->violations, run->n_violations, sizeof *run->violations, compare,
            (void *)run);
    for (uint32_t i = 0; i < run->n_violations; i++) {
        by_rule[run->violations[i].rule]++;
        if (i < limit)
            say(run, &run->violations[i]);
    }
    printf("violations:");
    for (enum rule rule = 0; rule < RULE__MAX; rule++)
        if (by_rule[rule] > 0)
            printf(" %s %lu", rule_names[rule], by_rule[rule]);
    puts("");
}
