// Lines of a history, to and fro. Written by hand instead of with printf and scanf: there
// are millions of them, and the load's own CPU is to be small beside the service's.

#include "history.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUFFER 1048576
#define LINE_MAX_LEN 1024 // of one line, with the longest texts a load writes

static const char *const cache_names[OP_CACHE__MAX] = {"-", "HIT", "MISS", "BYPASS"};

bool op_is_known(const struct op *op)
{
    bool good = op->status == 200 || (op->kind == OP_WRITE && op->status == 201);
    return good && op->version >= (op->kind == OP_WRITE ? 1 : 0);
}

bool op_is_doubtful(const struct op *op)
{
    if (op->kind != OP_WRITE || op_is_known(op))
        return false;
    return op->version != OP_NO_EFFECT || (op->status >= 200 && op->status < 300);
}

const char *op_cache_name(unsigned cache)
{
    return cache_names[cache < OP_CACHE__MAX ? cache : OP_CACHE_NONE];
}

enum op_cache op_cache_parse(const char *text, size_t len)
{
    for (enum op_cache cache = OP_CACHE_HIT; cache < OP_CACHE__MAX; cache++)
        if (strlen(cache_names[cache]) == len &&
            memcmp(cache_names[cache], text, len) == 0)
            return cache;
    return OP_CACHE_NONE;
}

// Reading

bool history_parse_number(const char **at, const char *end, char stop, int64_t *number)
{
    const char *p = *at;
    bool minus = p < end && *p == '-';
    p += minus;
    const char *first = p;
    int64_t value = 0;
    for (; p < end && *p >= '0' && *p <= '9'; p++)
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, *p - '0', &value))
            return false;
    if (p == first || (p < end && *p != stop))
        return false;
    *number = minus ? -value : value;
    *at = p < end ? p + 1 : end;
    return true;
}

static bool parse_hash(const char **at, const char *end, uint64_t *hash)
{
    const char *p = *at;
    uint64_t value = 0;
    if (end - p < 17 || p[16] != '\t')
        return false;
    for (int i = 0; i < 16; i++) {
        char c = p[i];
        unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
                                                : 16;
        if (digit > 15)
            return false;
        value = value << 4 | digit;
    }
    *hash = value;
    *at = p + 17;
    return true;
}

static bool parse_text(const char **at, const char *end, const char **text, size_t *len)
{
    const char *tab = memchr(*at, '\t', (size_t)(end - *at));
    if (!tab || tab == *at)
        return false;
    *text = *at;
    *len = (size_t)(tab - *at);
    *at = tab + 1;
    return true;
}

bool history_parse(const char *line, const char *end, struct op *op, struct op_text *text)
{
    const char *at = line + 2, *cache;
    size_t cache_len;
    int64_t status;
    *op = (struct op){0};
    if (end - line < 2 || (line[0] != 'r' && line[0] != 'w') || line[1] != '\t')
        return false;
    op->kind = line[0] == 'w' ? OP_WRITE : OP_READ;
    if (!history_parse_number(&at, end, '\t', &op->begin_ns) ||
        !history_parse_number(&at, end, '\t', &op->end_ns) ||
        !parse_text(&at, end, &text->cart, &text->cart_len) ||
        !history_parse_number(&at, end, '\t', &status) ||
        !history_parse_number(&at, end, '\t', &op->version) ||
        !parse_text(&at, end, &cache, &cache_len) ||
        !parse_text(&at, end, &text->node, &text->node_len) ||
        !history_parse_number(&at, end, '\t', &op->units) ||
        !parse_hash(&at, end, &op->hash))
        return false;
    size_t id_len = (size_t)(end - at);
    if (id_len == 0 || id_len > UINT8_MAX || memchr(at, '\t', id_len))
        return false;
    if (op->begin_ns > op->end_ns || status < 0 || status > 999)
        return false;
    op->status = (int16_t)status;
    op->cache = (uint8_t)op_cache_parse(cache, cache_len);
    op->id = at;
    op->id_len = (uint8_t)id_len;
    return true;
}

uint64_t history_hash(const char *text, size_t len)
{
    const uint64_t prime = 0x9fb21c651e98df25ULL; // odd, its bits well mixed
    uint64_t hash = 0xcbf29ce484222325ULL ^ len, word;
    for (; len > 0; text += sizeof word, len -= sizeof word) {
        word = 0;
        memcpy(&word, text, len < sizeof word ? len : sizeof word);
        hash = (hash ^ word) * prime;
        hash ^= hash >> 32;
        if (len < sizeof word)
            break;
    }
    return hash;
}

// Writing

bool history_open(struct history *history, const char *path)
{
    history->len = 0;
    history->buf = malloc(BUFFER);
    if (!history->buf)
        return false;
    history->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (history->fd >= 0)
        return true;
    free(history->buf);
    return false;
}

static bool flush(struct history *history)
{
    for (size_t at = 0; at < history->len;) {
        ssize_t n = write(history->fd, history->buf + at, history->len - at);
        if (n < 0 && errno != EINTR)
            return false;
        at += n > 0 ? (size_t)n : 0;
    }
    history->len = 0;
    return true;
}

static char *put_text(char *p, const char *text)
{
    const char *shown = *text ? text : "-";
    size_t len = strnlen(shown, 200);
    memcpy(p, shown, len);
    p[len] = '\t';
    return p + len + 1;
}

static char *put_number(char *p, int64_t number)
{
    char digits[20];
    int n = 0;
    uint64_t rest = number < 0 ? -(uint64_t)number : (uint64_t)number;
    if (number < 0)
        *p++ = '-';
    do
        digits[n++] = (char)('0' + rest % 10);
    while ((rest /= 10) > 0);
    while (n > 0)
        *p++ = digits[--n];
    *p = '\t';
    return p + 1;
}

static char *put_hash(char *p, uint64_t hash)
{
    for (int shift = 60; shift >= 0; shift -= 4)
        *p++ = "0123456789abcdef"[hash >> shift & 15];
    *p = '\t';
    return p + 1;
}

bool history_put(struct history *history, const struct op *op, const char *cart,
                 const char *node, const char *id)
{
    if (history->len + LINE_MAX_LEN > BUFFER && !flush(history))
        return false;
    char *p = history->buf + history->len;
    *p++ = op->kind == OP_WRITE ? 'w' : 'r';
    *p++ = '\t';
    p = put_number(p, op->begin_ns);
    p = put_number(p, op->end_ns);
    p = put_text(p, cart);
    p = put_number(p, op->status);
    p = put_number(p, op->version);
    p = put_text(p, op_cache_name(op->cache));
    p = put_text(p, node);
    p = put_number(p, op->units);
    p = put_hash(p, op->hash);
    p = put_text(p, id);
    p[-1] = '\n';
    history->len = (size_t)(p - history->buf);
    return true;
}

bool history_close(struct history *history)
{
    bool good = flush(history);
    if (close(history->fd) != 0)
        good = false;
    free(history->buf);
    history->buf = NULL;
    return good;
}
