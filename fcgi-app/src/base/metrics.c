// What is measured: registration, updates in the own slot, and the scrape over all slots.

#include "base/metrics.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/metrics_file.h"

// The upper bounds of a histogram's buckets, in both units; +Inf comes after them.
static const struct {
    int64_t ns;
    const char *seconds;
} bounds[] = {
    {50000, "0.00005"}, {100000, "0.0001"},  {200000, "0.0002"},  {300000, "0.0003"},
    {500000, "0.0005"}, {1000000, "0.001"},  {2500000, "0.0025"}, {5000000, "0.005"},
    {10000000, "0.01"}, {25000000, "0.025"}, {100000000, "0.1"},  {500000000, "0.5"},
    {1000000000, "1"},  {2500000000, "2.5"}, {10000000000, "10"},
};

#define N_BOUNDS (sizeof bounds / sizeof *bounds)

// Cells of a histogram: a count for each bucket alone, the one for +Inf, the sum in ns.
enum { CELL_INF = N_BOUNDS, CELL_SUM, HISTOGRAM_CELLS };

typedef _Atomic uint64_t cell;

enum type { COUNTER, GAUGE, HISTOGRAM };

struct metric {
    enum type type;
    const char *labels;
    size_t first; // of its cells, within a slot
    cell *cells;  // where updates go: private memory, then the own slot
    struct metric *next;
};

// The series of one name, in the order of registration.
struct family {
    const char *name, *help;
    enum type type;
    struct metric *metrics, **tail;
    struct family *next;
};

static struct family *families, **families_tail = &families;
static size_t n_cells;
static uint64_t layout = 0xcbf29ce484222325; // FNV-1a of all that slots hold, in order

static size_t cells_of(enum type type)
{
    return type == HISTOGRAM ? HISTOGRAM_CELLS : 1;
}

static cell *cells_in(void *slot, const struct metric *m)
{
    return (cell *)slot + m->first;
}

static uint64_t get(const cell *c)
{
    return atomic_load_explicit(c, memory_order_relaxed);
}

// Only the owner of a cell writes to it: no locked instruction is needed.
static void put(cell *c, uint64_t value)
{
    atomic_store_explicit(c, value, memory_order_relaxed);
}

static void add_to_layout(const void *data, size_t len)
{
    const unsigned char *bytes = data;
    for (size_t i = 0; i < len; i++)
        layout = (layout ^ bytes[i]) * 0x100000001b3;
}

static struct family *find_family(const char *name, const char *help, enum type type)
{
    struct family *f = families;
    while (f && strcmp(f->name, name) != 0)
        f = f->next;
    if (!f) {
        f = mem_zero(NULL, struct family);
        f->name = mem_printf(f, "%s", name);
        f->help = mem_printf(f, "%s", help);
        f->type = type;
        f->tail = &f->metrics;
        *families_tail = f;
        families_tail = &f->next;
    }
    if (f->type != type)
        abort();
    return f;
}

static struct metric *register_metric(const char *name, const char *help,
                                      const char *labels, enum type type)
{
    struct family *f = find_family(name, help, type);
    for (struct metric *m = f->metrics; m; m = m->next) {
        if (strcmp(m->labels, labels) == 0)
            return m;
    }
    if (metrics_file_is_open())
        abort();

    struct metric *m = mem_zero(f, struct metric);
    m->type = type;
    m->labels = mem_printf(m, "%s", labels);
    m->first = n_cells;
    m->cells = mem_array(m, cell, cells_of(type));
    *f->tail = m;
    f->tail = &m->next;

    n_cells += cells_of(type);
    add_to_layout(&type, sizeof type);
    add_to_layout(name, strlen(name) + 1);
    add_to_layout(labels, strlen(labels) + 1);
    for (size_t i = 0; type == HISTOGRAM && i < N_BOUNDS; i++)
        add_to_layout(&bounds[i].ns, sizeof bounds[i].ns);
    return m;
}

struct metric *metrics_counter(const char *name, const char *help, const char *labels)
{
    return register_metric(name, help, labels, COUNTER);
}

struct metric *metrics_gauge(const char *name, const char *help, const char *labels)
{
    return register_metric(name, help, labels, GAUGE);
}

struct metric *metrics_histogram(const char *name, const char *help, const char *labels)
{
    return register_metric(name, help, labels, HISTOGRAM);
}

// Points all metrics to the own slot and carries over what they have counted so far.
static void move_into(void *slot)
{
    for (struct family *f = families; f; f = f->next) {
        for (struct metric *m = f->metrics; m; m = m->next) {
            cell *cells = cells_in(slot, m);
            for (size_t i = 0; i < cells_of(m->type); i++)
                put(&cells[i],
                    (m->type == GAUGE ? 0 : get(&cells[i])) + get(&m->cells[i]));
            talloc_free((void *)m->cells);
            m->cells = cells;
        }
    }
}

struct err metrics_open(const char *path)
{
    size_t own;
    if (metrics_file_is_open())
        abort();
    struct err e = metrics_file_open(path, n_cells * sizeof(cell), layout, &own);
    if (!err_is(e))
        move_into(metrics_file_slot(own));
    return e;
}

void metrics_add(struct metric *counter, uint64_t n)
{
    put(counter->cells, get(counter->cells) + n);
}

void metrics_set(struct metric *gauge, int64_t value)
{
    put(gauge->cells, (uint64_t)value);
}

void metrics_observe(struct metric *histogram, int64_t ns)
{
    cell *cells = histogram->cells;
    size_t bucket = 0;
    ns = ns < 0 ? 0 : ns;
    while (bucket < N_BOUNDS && ns > bounds[bucket].ns)
        bucket++;
    put(&cells[bucket], get(&cells[bucket]) + 1);
    put(&cells[CELL_SUM], get(&cells[CELL_SUM]) + (uint64_t)ns);
}

// What a scrape sums over. Without a file: one slot, private memory.
struct slots {
    size_t n;
    bool live[METRICS_SLOTS_MAX];
    int64_t n_live;
};

static void look_at_slots(struct slots *s)
{
    *s = (struct slots){.n = 1, .n_live = 1};
    if (!metrics_file_is_open())
        return;
    s->n = metrics_file_slots();
    s->n_live = 0;
    for (size_t i = 0; i < s->n; i++) {
        s->live[i] = metrics_file_slot_is_live(i);
        s->n_live += s->live[i];
    }
}

static uint64_t sum(const struct slots *s, const struct metric *m, size_t i)
{
    if (!metrics_file_is_open())
        return get(&m->cells[i]);
    uint64_t total = 0;
    for (size_t slot = 0; slot < s->n; slot++) {
        if (m->type != GAUGE || s->live[slot])
            total += get(&cells_in(metrics_file_slot(slot), m)[i]);
    }
    return total;
}

// name_suffix{labels,extra} and a blank.
static void put_series(struct buf *b, const char *name, const char *suffix,
                       const char *labels, const char *extra)
{
    buf_add_str(b, name);
    buf_add_str(b, suffix);
    if (*labels || *extra) {
        buf_add_char(b, '{');
        buf_add_str(b, labels);
        if (*labels && *extra)
            buf_add_char(b, ',');
        buf_add_str(b, extra);
        buf_add_char(b, '}');
    }
    buf_add_char(b, ' ');
}

static void put_histogram(struct buf *b, const struct slots *s, const struct family *f,
                          const struct metric *m)
{
    uint64_t count = 0;
    for (size_t i = 0; i <= CELL_INF; i++) {
        char le[sizeof "le=\"0.00005\""];
        snprintf(le, sizeof le, "le=\"%s\"", i < N_BOUNDS ? bounds[i].seconds : "+Inf");
        count += sum(s, m, i);
        put_series(b, f->name, "_bucket", m->labels, le);
        buf_printf(b, "%llu\n", (unsigned long long)count);
    }
    uint64_t ns = sum(s, m, CELL_SUM);
    put_series(b, f->name, "_sum", m->labels, "");
    buf_printf(b, "%llu.%09llu\n", (unsigned long long)ns / 1000000000,
               (unsigned long long)ns % 1000000000);
    put_series(b, f->name, "_count", m->labels, "");
    buf_printf(b, "%llu\n", (unsigned long long)count);
}

static void put_head(struct buf *b, const char *name, const char *help, const char *type)
{
    buf_printf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static bool is_left_out_at_zero(const char *name)
{
    static const char end[] = "requests_total";
    size_t len = strlen(name);
    return len >= sizeof end - 1 && strcmp(name + len - (sizeof end - 1), end) == 0;
}

void metrics_render(struct buf *b)
{
    static const char *const types[] = {"counter", "gauge", "histogram"};
    struct slots s;
    look_at_slots(&s);
    for (const struct family *f = families; f; f = f->next) {
        put_head(b, f->name, f->help, types[f->type]);
        for (const struct metric *m = f->metrics; m; m = m->next) {
            if (f->type == HISTOGRAM) {
                put_histogram(b, &s, f, m);
                continue;
            }
            uint64_t value = sum(&s, m, 0);
            if (value == 0 && is_left_out_at_zero(f->name))
                continue;
            put_series(b, f->name, "", m->labels, "");
            buf_add_int(b, (int64_t)value);
            buf_add_char(b, '\n');
        }
    }
    put_head(b, "carrito_processes", "Processes that share these metrics.", "gauge");
    buf_printf(b, "carrito_processes %lld\n", (long long)s.n_live);
}
