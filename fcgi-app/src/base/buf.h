// A growing byte buffer on a talloc context.
//
// Invariant after buf_init: data[len] == '\0' and len < cap. `data` moves when it grows,
// so keep offsets, not pointers. It is freed with `mem`. Out of memory aborts.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct buf {
    void *mem;
    char *data;
    size_t len, cap;
};

// Empty, with room for `cap` bytes before it has to grow; data is a child of `mem`.
void buf_init(struct buf *b, void *mem, size_t cap);

// Makes room for `more` bytes and the NUL. For buf_add().
void buf_grow(struct buf *b, size_t more);

// Append bytes (any, NUL too), a string, a decimal number, one byte, formatted text.
static inline void buf_add(struct buf *b, const void *data, size_t len)
{
    if (len >= b->cap - b->len)
        buf_grow(b, len);
    if (len)
        memcpy(b->data + b->len, data, len);
    b->len += len;
    b->data[b->len] = '\0';
}

static inline void buf_add_str(struct buf *b, const char *s)
{
    buf_add(b, s, strlen(s));
}

void buf_add_int(struct buf *b, int64_t n);
void buf_add_char(struct buf *b, char c);
void buf_printf(struct buf *b, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

// Back to `len` bytes, which is at most the present length; the memory is kept.
void buf_truncate(struct buf *b, size_t len);
