// Reads the files of a run. Invariant afterwards: every cart that any file names has a
// number below carts.n and an entry in `final`; by_begin and by_end hold all operations.

#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define OPS_MAX (NOBODY - 1)

void *must_alloc(size_t n, size_t size)
{
    void *new = calloc(n > 0 ? n : 1, size);
    if (!new) {
        fputs("check: out of memory\n", stderr);
        exit(2);
    }
    return new;
}

void *must_grow(void *old, size_t n, size_t size)
{
    void *new = reallocarray(old, n, size);
    if (!new) {
        fputs("check: out of memory\n", stderr);
        exit(2);
    }
    return new;
}

// Names

static uint32_t *slot_of(const struct names *names, const char *text, size_t len)
{
    uint32_t at = (uint32_t)history_hash(text, len) & (names->n_slots - 1);
    for (;; at = (at + 1) & (names->n_slots - 1)) {
        uint32_t *slot = &names->slots[at];
        if (*slot == 0)
            return slot;
        const char *known = names->text[*slot - 1];
        if (strncmp(known, text, len) == 0 && known[len] == '\0')
            return slot;
    }
}

static void widen(struct names *names)
{
    names->cap = names->cap > 0 ? 2 * names->cap : 64;
    names->text = must_grow(names->text, names->cap, sizeof *names->text);
    free(names->slots);
    names->n_slots = 4 * names->cap;
    names->slots = must_alloc(names->n_slots, sizeof *names->slots);
    for (uint32_t i = 0; i < names->n; i++)
        *slot_of(names, names->text[i], strlen(names->text[i])) = i + 1;
}

static uint32_t number_of(struct names *names, const char *text, size_t len)
{
    if (names->n == names->cap)
        widen(names);
    uint32_t *slot = slot_of(names, text, len);
    if (*slot == 0) {
        names->text[names->n] = must_alloc(len + 1, 1);
        memcpy(names->text[names->n], text, len);
        *slot = ++names->n;
    }
    return *slot - 1;
}

static void free_names(struct names *names)
{
    for (uint32_t i = 0; i < names->n; i++)
        free(names->text[i]);
    free((void *)names->text);
    free(names->slots);
}

// Files

struct lines {
    const char *path, *at, *end;
    const char *text; // the current line, without its newline
    const char *stop;
    size_t number;
};

// The file is mapped and stays so: operations point into it.
static struct lines open_lines(const char *path)
{
    struct lines lines = {.path = path};
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0) {
        fprintf(stderr, "check: %s: %s\n", path, strerror(errno));
        exit(2);
    }
    if (st.st_size > 0) {
        lines.at = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (lines.at == MAP_FAILED) {
            fprintf(stderr, "check: %s: %s\n", path, strerror(errno));
            exit(2);
        }
        lines.end = lines.at + st.st_size;
    }
    close(fd);
    return lines;
}

static void bad_line(const struct lines *lines, const char *why)
{
    fprintf(stderr, "check: %s:%zu: %s\n", lines->path, lines->number, why);
    exit(2);
}

static bool next_line(struct lines *lines)
{
    if (lines->at == lines->end)
        return false;
    lines->number++;
    lines->text = lines->at;
    lines->stop = memchr(lines->at, '\n', (size_t)(lines->end - lines->at));
    if (!lines->stop)
        bad_line(lines, "is cut off");
    lines->at = lines->stop + 1;
    return true;
}

// The order by begin or end

static int compare_begin(const void *a, const void *b, void *arg)
{
    const struct op *ops = arg, *x = &ops[*(const uint32_t *)a],
                    *y = &ops[*(const uint32_t *)b];
    return (x->begin_ns > y->begin_ns) - (x->begin_ns < y->begin_ns);
}

static int compare_end(const void *a, const void *b, void *arg)
{
    const struct op *ops = arg, *x = &ops[*(const uint32_t *)a],
                    *y = &ops[*(const uint32_t *)b];
    return (x->end_ns > y->end_ns) - (x->end_ns < y->end_ns);
}

static uint32_t *sorted(const struct run *run,
                        int (*compare)(const void *, const void *, void *))
{
    uint32_t *order = must_alloc(run->n_ops, sizeof *order);
    for (uint32_t i = 0; i < run->n_ops; i++)
        order[i] = i;
    qsort_r(order, run->n_ops, sizeof *order, compare, run->ops);
    return order;
}

void run_read_history(struct run *run, const char *path)
{
    struct lines lines = open_lines(path);
    size_t cap = (size_t)(lines.end - lines.at) / 80 + 16; // no line is much shorter
    run->ops = must_alloc(cap, sizeof *run->ops);
    while (next_line(&lines)) {
        struct op_text text;
        if (run->n_ops == cap) {
            cap *= 2;
            run->ops = must_grow(run->ops, cap, sizeof *run->ops);
        }
        struct op *op = &run->ops[run->n_ops];
        if (!history_parse(lines.text, lines.stop, op, &text))
            bad_line(&lines, "is not a line of a history");
        if (run->n_ops == OPS_MAX)
            bad_line(&lines, "is one too many");
        op->cart = number_of(&run->carts, text.cart, text.cart_len);
        op->node = (uint16_t)number_of(&run->nodes, text.node, text.node_len);
        if (op->end_ns - op->begin_ns > run->longest_ns)
            run->longest_ns = op->end_ns - op->begin_ns;
        run->n_ops++;
    }
    if (run->n_ops == 0) {
        fprintf(stderr, "check: %s: no operations\n", path);
        exit(2);
    }
    run->by_begin = sorted(run, compare_begin);
    run->by_end = sorted(run, compare_end);
    run->begin_ns = run->ops[run->by_begin[0]].begin_ns;
    run->end_ns = run->ops[run->by_end[run->n_ops - 1]].end_ns;
}

void run_read_final(struct run *run, const char *path)
{
    struct lines lines = open_lines(path);
    size_t cap = run->carts.n + 64;
    run->final = must_alloc(cap, sizeof *run->final);
    while (next_line(&lines)) {
        struct final_cart cart = {0};
        const char *tab = memchr(lines.text, '\t', (size_t)(lines.stop - lines.text));
        const char *at = tab ? tab + 1 : lines.stop;
        if (!tab || !history_parse_number(&at, lines.stop, '\t', &cart.version) ||
            !history_parse_number(&at, lines.stop, '\n', &cart.units) || cart.version < 0)
            bad_line(&lines, "is not: cart, version, units");
        uint32_t number = number_of(&run->carts, lines.text, (size_t)(tab - lines.text));
        if (number >= cap) {
            run->final = must_grow(run->final, 2 * cap, sizeof *run->final);
            memset(run->final + cap, 0, cap * sizeof *run->final);
            cap *= 2;
        }
        run->final[number] = cart;
    }
}

static int compare_window(const void *a, const void *b)
{
    const struct window *x = a, *y = b;
    return (x->begin_ns > y->begin_ns) - (x->begin_ns < y->begin_ns);
}

void run_read_windows(struct run *run, const char *path)
{
    struct lines lines = open_lines(path);
    while (next_line(&lines)) {
        struct window window;
        const char *at = lines.text;
        if (!history_parse_number(&at, lines.stop, '\t', &window.begin_ns) ||
            !history_parse_number(&at, lines.stop, '\t', &window.end_ns) ||
            at == lines.stop || window.begin_ns > window.end_ns)
            bad_line(&lines, "is not: begin_ns, end_ns, name");
        window.name = number_of(&run->window_names, at, (size_t)(lines.stop - at));
        run->windows =
            must_grow(run->windows, run->n_windows + 1UL, sizeof *run->windows);
        run->windows[run->n_windows++] = window;
    }
    if (run->n_windows > 0)
        qsort(run->windows, run->n_windows, sizeof *run->windows, compare_window);
}

void run_add_violation(struct run *run, struct violation violation)
{
    uint32_t n = run->n_violations;
    if ((n & (n - 1)) == 0) // full at each power of two
        run->violations =
            must_grow(run->violations, n > 0 ? 2UL * n : 1, sizeof *run->violations);
    run->violations[run->n_violations++] = violation;
}

void run_free(struct run *run)
{
    free(run->ops);
    free(run->by_begin);
    free(run->by_end);
    free(run->final);
    free(run->windows);
    free(run->violations);
    free_names(&run->carts);
    free_names(&run->nodes);
    free_names(&run->window_names);
}
