// A history: what a load saw, one operation a line, as load writes it and check reads it.
//
//     kind begin_ns end_ns cart status version cache node units hash id   (tabs between)
//
// Times are CLOCK_MONOTONIC: `begin` is taken before the first byte is sent, `end` after
// the last one has come, so of two operations of one load the one truly ended before the
// other began if the history says so. A write that was repeated under its Idempotency-Key
// is one operation, from its first begin to its last end.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum op_kind { OP_READ, OP_WRITE };

enum op_cache {
    OP_CACHE_NONE,
    OP_CACHE_HIT,
    OP_CACHE_MISS,
    OP_CACHE_BYPASS,
    OP_CACHE__MAX
};

#define OP_UNKNOWN \
    (-1)               // version: nobody can say what the operation did; units: no number
#define OP_NO_EFFECT 0 // version of a write that was refused and so changed nothing

struct op {
    int64_t begin_ns, end_ns;
    int64_t version; // the ETag's; 0 for a read is the cart that was never written
    int64_t units;  // item_count; OP_UNKNOWN where the body is not this cart at `version`
    uint64_t hash;  // of the body; 0 where there is none
    const char *id; // of a write: its line's name. Not terminated
    uint32_t cart;  // a number that the reader of the history gives
    int16_t status; // of the last answer; 0: none came
    uint16_t node;  // a number that the reader of the history gives
    uint8_t id_len;
    uint8_t kind;  // enum op_kind
    uint8_t cache; // enum op_cache
    bool exposed;  // set by check, from a write to the cart
};

// The three texts of a line, not terminated.
struct op_text {
    const char *cart, *node;
    size_t cart_len, node_len;
};

// The operation answered 2xx and told its version: it says something about the order.
bool op_is_known(const struct op *op);

// A write that may have changed its cart or may yet do so, and nobody said which.
bool op_is_doubtful(const struct op *op);

const char *op_cache_name(unsigned cache);

// X-Cache's value; OP_CACHE_NONE for any other text.
enum op_cache op_cache_parse(const char *text, size_t len);

// Reads the line [line, end), which has no newline. What the line does not hold (cart and
// node as numbers, exposed) is 0. False when it is not a line of a history.
bool history_parse(const char *line, const char *end, struct op *op,
                   struct op_text *text);

// A decimal number, with a minus or not, that fills [*at, end) up to `stop` or the end;
// *at is left behind the stop. False when there is none or it does not fit.
bool history_parse_number(const char **at, const char *end, char stop, int64_t *number);

// Eight bytes at a time, as good as FNV-1a for telling bodies apart.
uint64_t history_hash(const char *text, size_t len);

// The end of a history file that is being written; buffered.
struct history {
    int fd;
    char *buf;
    size_t len;
};

// Opens, truncating. False with errno set.
bool history_open(struct history *history, const char *path);

// Appends a line; texts are NUL-terminated, "" is written as "-". False with errno set
// when what was gathered could not be written.
bool history_put(struct history *history, const struct op *op, const char *cart,
                 const char *node, const char *id);

// Writes what is left and closes. False with errno set.
bool history_close(struct history *history);
