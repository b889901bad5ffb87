// One client of the load: a connection and a closed loop of reads or of writes on it,
// each answer looked at and each operation noted in the history.
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "history.h"
#include "http_client.h"

#define PREFIX_MAX 40
#define PRODUCTS 40           // lines of a cart
#define CART_WRITES_MAX 39960 // PRODUCTS times 999 units, the most a line can hold

#define MS 1000000LL
#define SECOND (1000 * MS)

// A hot cart. Its name is the prefix and the number; when its lines are full, another
// number takes its place.
struct hot_cart {
    uint64_t number;
    unsigned writes;
};

// What all workers share.
struct load {
    int epoll;
    struct sockaddr_in to;
    const char *prefix;
    struct hot_cart *carts;
    unsigned n_carts, cart_writes; // writes after which a cart is replaced
    uint64_t next_cart, last_written, next_id;
    uint64_t random;
    int64_t interval_ns, think_ns; // of each worker; 0: none
    bool ending;                   // no operation begins any more
    struct history history;
    bool history_failed;
    unsigned long requests, reads, writes, hits, malformed, repeated, by_status[1000];
};

enum worker_state {
    WORKER_RESTS,   // between operations, until `due_ns`
    WORKER_WAITS,   // for an answer, until `due_ns`
    WORKER_REPEATS, // a write, under the same key, from `due_ns` on
    WORKER_ENDED,
};

struct worker {
    struct http_conn conn; // first: epoll's event carries its address
    struct load *load;
    bool writes;
    enum worker_state state;
    int64_t due_ns;  // what happens then depends on the state
    int64_t pace_ns; // when the next operation would begin by the rate alone
    struct op op;
    bool keyed;    // has an Idempotency-Key
    bool doubtful; // an earlier attempt may have done it
    uint64_t cart_number;
    char cart[PREFIX_MAX + 24], id[24];
    char request[640];
    size_t request_len;
};

// Rests until first_ns.
bool worker_init(struct worker *worker, struct load *load, bool writes, int64_t first_ns);

// Something happened on the connection.
void worker_event(struct worker *worker, uint32_t events);

// To be called from `due_ns` on: begins, repeats, or gives up an answer as too late.
void worker_due(struct worker *worker, int64_t now);

// Notes what is under way as not answered, and ends.
void worker_abandon(struct worker *worker);

int64_t clock_ns(void);
