// Memory: everything a request touches hangs from one talloc context and dies with it.
//
// Nobody handles being out of memory: bodies are capped and a dead process is restarted,
// so these functions abort. mem_must() does the same for talloc's own.
#pragma once

#include <stddef.h>
#include <talloc.h>

#define MEM_REQUEST_POOL 16384 // bytes

// A request's context: a pool of MEM_REQUEST_POOL bytes that grows past its size by
// malloc. Sanitizer builds get a plain context, so that every object has red zones of its
// own. mem_request_free() frees all that hangs from it and keeps the pool itself for
// another request; talloc_free() frees that too. One thread only.
void *mem_request_new(void) __attribute__((returns_nonnull));
void mem_request_free(void *mem);

// Returns `p`; aborts when it is NULL.
void *mem_must(void *p) __attribute__((returns_nonnull));

// An object of `type`, not initialised; one whose bytes are zero; an array of `n` zeros.
#define mem_new(ctx, type) ((type *)mem_must(talloc(ctx, type)))
#define mem_zero(ctx, type) ((type *)mem_must(talloc_zero(ctx, type)))
#define mem_array(ctx, type, n) ((type *)mem_zero_array(ctx, sizeof(type), n))
void *mem_zero_array(const void *ctx, size_t size, size_t n)
    __attribute__((returns_nonnull));

// A string on `ctx`: printed, or a copy of the first `len` bytes of `s`, then a NUL.
char *mem_printf(const void *ctx, const char *format, ...)
    __attribute__((format(printf, 2, 3), returns_nonnull));
char *mem_strndup(const void *ctx, const char *s, size_t len)
    __attribute__((returns_nonnull));
