// The closed loop of one client, and what its answers mean.
//
// Invariant: every operation that was begun is noted once, with the latest begin that is
// surely before its first byte was sent and the earliest end surely after its answer.
// A write is noted as without effect only if every attempt surely had none.

#include "load_worker.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define ANSWER_WITHIN (10 * SECOND)
#define REPEAT_WITHIN (30 * SECOND) // from the begin of a write to its last repetition
#define REPEAT_PAUSE (50 * MS)
#define FAILED_PAUSE (10 * MS) // before the next operation, so that outages cost little
#define MALFORMED_SHOWN 5

int64_t clock_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * SECOND + t.tv_nsec;
}

bool worker_init(struct worker *worker, struct load *load, bool writes, int64_t first_ns)
{
    *worker = (struct worker){.load = load,
                              .writes = writes,
                              .state = WORKER_RESTS,
                              .due_ns = first_ns,
                              .pace_ns = first_ns};
    return http_init(&worker->conn);
}

// Choosing what to ask

static uint64_t random_below(struct load *load, uint64_t limit)
{
    load->random ^= load->random << 13;
    load->random ^= load->random >> 7;
    load->random ^= load->random << 17;
    return (load->random >> 16) % limit;
}

static void name_cart(struct worker *worker, uint64_t number)
{
    worker->cart_number = number;
    snprintf(worker->cart, sizeof worker->cart, "%s-%llu", worker->load->prefix,
             (unsigned long long)number);
}

// Half of the reads go where an old copy would show: to the cart written last.
static void compose_read(struct worker *worker)
{
    struct load *load = worker->load;
    uint64_t choice = random_below(load, 2UL * load->n_carts);
    name_cart(worker,
              choice < load->n_carts ? load->carts[choice].number : load->last_written);
    worker->request_len =
        (size_t)snprintf(worker->request, sizeof worker->request,
                         "GET /cart/%s HTTP/1.1\r\nHost: carrito\r\n\r\n", worker->cart);
}

static void compose_write(struct worker *worker)
{
    struct load *load = worker->load;
    struct hot_cart *cart = &load->carts[random_below(load, load->n_carts)];
    char body[160], key[PREFIX_MAX + 64] = "";
    if (cart->writes >= load->cart_writes)
        *cart = (struct hot_cart){.number = load->next_cart++};
    name_cart(worker, cart->number);
    load->last_written = cart->number;
    worker->keyed = random_below(load, 2) == 0;
    snprintf(worker->id, sizeof worker->id, "%c%llu", worker->keyed ? 'k' : 'w',
             (unsigned long long)load->next_id++);
    if (worker->keyed)
        snprintf(key, sizeof key, "Idempotency-Key: %s-%s\r\n", load->prefix, worker->id);
    int len = snprintf(
        body, sizeof body,
        "{\"product_id\": %u, \"name\": \"%s\", \"price\": 1.00, \"quantity\": 1}",
        1 + cart->writes++ % PRODUCTS, worker->id);
    worker->request_len = (size_t)snprintf(
        worker->request, sizeof worker->request,
        "POST /cart/%s/add HTTP/1.1\r\nHost: carrito\r\n"
        "Content-Type: application/json\r\n%sContent-Length: %d\r\n\r\n%s",
        worker->cart, key, len, body);
}

// The end of an operation

static void rest(struct worker *worker, int64_t now, bool failed)
{
    struct load *load = worker->load;
    worker->state = load->ending ? WORKER_ENDED : WORKER_RESTS;
    worker->due_ns = now + (failed ? FAILED_PAUSE : 0);
    if (worker->due_ns < worker->op.end_ns + load->think_ns)
        worker->due_ns = worker->op.end_ns + load->think_ns;
    if (load->interval_ns == 0)
        return;
    // What an outage held up is not made up for in a rush.
    worker->pace_ns += load->interval_ns;
    if (worker->pace_ns < now - load->interval_ns)
        worker->pace_ns = now;
    if (worker->due_ns < worker->pace_ns)
        worker->due_ns = worker->pace_ns;
}

static void note(struct worker *worker, const char *node)
{
    struct load *load = worker->load;
    struct op *op = &worker->op;
    load->reads += op->kind == OP_READ;
    load->writes += op->kind == OP_WRITE;
    load->hits += op->cache == OP_CACHE_HIT;
    load->by_status[op->status]++;
    if (!history_put(&load->history, op, worker->cart, node, worker->id))
        load->history_failed = true;
}

static void finish(struct worker *worker, int64_t now, const char *node)
{
    bool failed = worker->op.status == 0 || worker->op.status >= 400;
    note(worker, node);
    rest(worker, now, failed);
}

// item_count, if the body is that of the worker's cart at this version.
static int64_t read_units(const struct worker *worker, const struct http_answer *answer)
{
    static const char count[] = "],\"item_count\":";
    char head[sizeof worker->cart + 64];
    int len =
        snprintf(head, sizeof head, "{\"user_id\":\"%s\",\"version\":%lld,\"items\":[",
                 worker->cart, (long long)answer->etag);
    const char *end = answer->body + answer->body_len;
    if (answer->body_len < (size_t)len || memcmp(answer->body, head, (size_t)len) != 0)
        return OP_UNKNOWN;
    const char *p = memrchr(answer->body, ']', answer->body_len);
    int64_t units;
    if (!p || (size_t)(end - p) < sizeof count || memcmp(p, count, sizeof count - 1) != 0)
        return OP_UNKNOWN;
    p += sizeof count - 1;
    return history_parse_number(&p, end, ',', &units) ? units : OP_UNKNOWN;
}

static void take_cart(struct worker *worker, const struct http_answer *answer)
{
    struct load *load = worker->load;
    struct op *op = &worker->op;
    op->version = answer->etag;
    op->units = read_units(worker, answer);
    op->hash = history_hash(answer->body, answer->body_len);
    op->cache = (uint8_t)answer->cache;
    if (op->units == OP_UNKNOWN && load->malformed++ < MALFORMED_SHOWN)
        fprintf(stderr, "load: not cart %s at version %lld: %.*s\n", worker->cart,
                (long long)op->version, (int)answer->body_len, answer->body);
}

// The service says of these that nothing has changed.
static bool was_refused(const struct http_answer *answer)
{
    static const char *const codes[] = {"\"code\":\"database-unavailable\"",
                                        "\"code\":\"overloaded\""};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (answer->status == 503 &&
            memmem(answer->body, answer->body_len, codes[i], strlen(codes[i])))
            return true;
    return false;
}

// An attempt at a write has not succeeded: the write is repeated, or it ends.
static void fail_write(struct worker *worker, int64_t now, bool no_effect)
{
    int status = worker->op.status;
    bool repeatable = status == 0 || status == 502 || status == 503 || status == 504;
    worker->doubtful = worker->doubtful || !no_effect;
    worker->op.version = worker->doubtful ? OP_UNKNOWN : OP_NO_EFFECT;
    if (worker->keyed && worker->doubtful && repeatable &&
        now - worker->op.begin_ns < REPEAT_WITHIN) {
        worker->state = WORKER_REPEATS;
        worker->due_ns = now + REPEAT_PAUSE;
    } else {
        finish(worker, now, "");
    }
}

static void on_answer(struct worker *worker)
{
    const struct http_answer *answer = &worker->conn.answer;
    struct op *op = &worker->op;
    op->end_ns = clock_ns();
    op->status = (int16_t)answer->status;
    bool good = answer->status == 200 || (worker->writes && answer->status == 201);
    if (good)
        take_cart(worker, answer);
    if (good && worker->writes) // once more: it is now that others can read it
        worker->load->last_written = worker->cart_number;
    if (!good && worker->writes)
        fail_write(worker, op->end_ns, was_refused(answer));
    else
        finish(worker, op->end_ns, answer->node);
}

static void on_break(struct worker *worker)
{
    worker->op.end_ns = clock_ns();
    worker->op.status = 0;
    if (worker->writes)
        fail_write(worker, worker->op.end_ns, worker->conn.fate == HTTP_UNSENT);
    else
        finish(worker, worker->op.end_ns, "");
}

// Its beginning

static void attempt(struct worker *worker, int64_t now)
{
    struct load *load = worker->load;
    worker->state = WORKER_WAITS;
    worker->due_ns = now + ANSWER_WITHIN;
    load->requests++;
    if (http_send(&worker->conn, load->epoll, &load->to, worker->request,
                  worker->request_len) == HTTP_BROKEN)
        on_break(worker);
}

static void begin(struct worker *worker)
{
    if (worker->load->ending) {
        worker->state = WORKER_ENDED;
        return;
    }
    worker->keyed = worker->doubtful = false;
    worker->id[0] = '\0';
    if (worker->writes)
        compose_write(worker);
    else
        compose_read(worker);
    int64_t now = clock_ns();
    worker->op = (struct op){.kind = worker->writes ? OP_WRITE : OP_READ,
                             .begin_ns = now,
                             .version = OP_UNKNOWN,
                             .units = OP_UNKNOWN};
    attempt(worker, now);
}

void worker_event(struct worker *worker, uint32_t events)
{
    switch (http_event(&worker->conn, events)) {
    case HTTP_ANSWER:
        on_answer(worker);
        if (worker->state == WORKER_RESTS && worker->due_ns <= worker->op.end_ns)
            begin(worker);
        break;
    case HTTP_BROKEN:
        on_break(worker);
        break;
    case HTTP_WAIT:
        break;
    }
}

void worker_due(struct worker *worker, int64_t now)
{
    switch (worker->state) {
    case WORKER_RESTS:
        begin(worker);
        break;
    case WORKER_REPEATS:
        worker->load->repeated++;
        attempt(worker, now);
        break;
    case WORKER_WAITS:
        http_close(&worker->conn);
        on_break(worker);
        break;
    case WORKER_ENDED:
        break;
    }
}

void worker_abandon(struct worker *worker)
{
    if (worker->state == WORKER_WAITS) {
        worker->keyed = false; // no further attempt
        worker_due(worker, clock_ns());
    } else if (worker->state == WORKER_REPEATS) {
        finish(worker, clock_ns(), "");
    }
    http_close(&worker->conn);
    worker->state = WORKER_ENDED;
}
