// Allocation that cannot fail: it aborts instead.

#include "base/mem.h"

#include <stdarg.h>
#include <stdlib.h>

#ifdef __SANITIZE_ADDRESS__
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif

void *mem_must(void *p)
{
    if (!p)
        abort();
    return p;
}

void *mem_request_new(void)
{
#ifdef SANITIZED
    return mem_must(talloc_named_const(NULL, 0, "request"));
#else
    void *pool = mem_must(talloc_pool(NULL, MEM_REQUEST_POOL));
    talloc_set_name_const(pool, "request");
    return pool;
#endif
}

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
    for (size_t i = 0; i < len; i++)
        copy[i] = s[i];
    copy[len] = '\0';
    return copy;
}
