// The growing byte buffer: doubles when it is full.

#include "base/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void buf_grow(struct buf *b, size_t more)
{
    size_t need = b->len + more + 1;
    if (need <= more)
        abort();
    size_t cap = b->cap * 2 > need ? b->cap * 2 : need;
    b->data = mem_must(talloc_realloc_size(b->mem, b->data, cap));
    b->cap = cap;
}

void buf_init(struct buf *b, void *mem, size_t cap)
{
    *b = (struct buf){.mem = mem, .cap = cap + 1};
    b->data = mem_must(talloc_size(mem, b->cap));
    b->data[0] = '\0';
}

void buf_add_int(struct buf *b, int64_t n)
{
    char digits[20]; // of INT64_MIN: '-' and 19 digits
    char *p = digits + sizeof digits;
    uint64_t rest = n < 0 ? -(uint64_t)n : (uint64_t)n;
    do
        *--p = (char)('0' + rest % 10);
    while (rest /= 10);
    if (n < 0)
        *--p = '-';
    buf_add(b, p, (size_t)(digits + sizeof digits - p));
}

void buf_add_char(struct buf *b, char c)
{
    buf_add(b, &c, 1);
}

void buf_printf(struct buf *b, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(b->data + b->len, b->cap - b->len, format, args);
    va_end(args);
    if (len < 0)
        abort();
    if ((size_t)len >= b->cap - b->len) {
        buf_grow(b, (size_t)len);
        vsnprintf(b->data + b->len, b->cap - b->len, format, again);
    }
    va_end(again);
    b->len += (size_t)len;
}

void buf_truncate(struct buf *b, size_t len)
{
    assert(len <= b->len);
    b->len = len;
    b->data[len] = '\0';
}
