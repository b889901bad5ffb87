// Allocation that cannot fail: it aborts instead.

#include "base/mem.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#ifdef __SANITIZE_ADDRESS__
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif

#define IDLE_MAX 256 // pools

void *mem_must(void *p)
{
    if (!p)
        abort();
    return p;
}

#ifdef SANITIZED
void *mem_request_new(void)
{
    return mem_must(talloc_named_const(NULL, 0, "request"));
}

void mem_request_free(void *mem)
{
    talloc_free(mem);
}
#else
// Empty pools: malloc takes long to find so many bytes, and to join them again.
static void *idle[IDLE_MAX];
static size_t n_idle;

void *mem_request_new(void)
{
    if (n_idle > 0)
        return mem_must(idle[--n_idle]);
    void *pool = mem_must(talloc_pool(NULL, MEM_REQUEST_POOL));
    talloc_set_name_const(pool, "request");
    return pool;
}

void mem_request_free(void *mem)
{
    if (n_idle == IDLE_MAX) {
        talloc_free(mem);
        return;
    }
    talloc_free_children(mem); // the last one that goes resets the pool
    idle[n_idle++] = mem;
}
#endif

void *mem_zero_array(const void *ctx, size_t size, size_t n)
{
    size_t bytes;
    if (__builtin_mul_overflow(size, n, &bytes))
        abort();
    return mem_must(talloc_zero_size(ctx, bytes));
}

char *mem_printf(const void *ctx, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *s = talloc_vasprintf(ctx, format, args);
    va_end(args);
    return mem_must(s);
}

char *mem_strndup(const void *ctx, const char *s, size_t len)
{
    char *copy = mem_must(talloc_size(ctx, len + 1));
    memcpy(copy, s, len);
    copy[len] = '\0';
    return copy;
}
