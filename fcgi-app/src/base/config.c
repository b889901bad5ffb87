// The table of settings, and all that follows from it.

#include "base/config.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/parse.h"

enum type { BOOL, INT, LEVEL, STRING, TEXT, ADDR, ADDRS };

struct row {
    const char *name;
    enum type type;
    const char *fallback; // NULL: required
    int min, max;         // of INT
    size_t offset;        // of its member in struct config
    size_t n_offset;      // of ADDRS: of the member that counts them
    const char *doc;
};

// Alphabetical. Everything else in this file follows from it.
#define ROW(name, member, type, fallback, min, max, doc)                        \
    {                                                                           \
        name, type, fallback, min, max, offsetof(struct config, member), 0, doc \
    }
#define ROW_ADDRS(name, member, fallback, doc)                        \
    {                                                                 \
        name, ADDRS, fallback, 0, 0, offsetof(struct config, member), \
            offsetof(struct config, n_##member), doc                  \
    }
// clang-format off
static const struct row rows[] = {
    ROW("CACHE", cache, BOOL, "on", 0, 0,
        "use Redis; off: every read and write goes to PostgreSQL alone"),
    ROW("CACHE_TTL_S", cache_ttl_s, INT, "1800", 1, 86400,
        "life of a cached cart, seconds"),
    ROW("CART_KEEP_DAYS", cart_keep_days, INT, "90", 1, 36500,
        "a cart unused for so long loses its lines"),
    ROW("DATABASE_URL", database_url, STRING, NULL, 0, 0,
        "libpq connection string or URI"),
    ROW("LOG_LEVEL", log_level, LEVEL, "info", 0, 0,
        "what the log leaves out: all below this level"),
    ROW("METRICS_FILE", metrics_file, STRING, NULL, 0, 0,
        "file shared by all processes of this host, holds counters"),
    ROW("PG_POOL_WAIT_MS", pg_pool_wait_ms, INT, "1000", 1, 60000,
        "longest wait for a pooled connection"),
    ROW("PG_READ_POOL", pg_read_pool, INT, "4", 1, 100,
        "connections per process for reads"),
    ROW("PG_TIMEOUT_MS", pg_timeout_ms, INT, "2000", 500, 60000,
        "deadline of one trip to PostgreSQL"),
    ROW("PG_WRITE_POOL", pg_write_pool, INT, "16", 1, 100,
        "connections per process for writes"),
    ROW("REDIS_MASTER", redis_master, ADDR, "127.0.0.1:6390", 0, 0,
        "the node that is written to until another is promoted"),
    ROW("REDIS_MASTER_NAME", redis_master_name, STRING, "carrito", 0, 0,
        "what Sentinel calls the master"),
    ROW("REDIS_PASSWORD", redis_password, TEXT, "", 0, 0,
        "sent to every node; empty: none"),
    ROW_ADDRS("REDIS_REPLICAS", redis_replicas, "127.0.0.1:6391,127.0.0.1:6392",
        "the nodes that are read from; may be empty"),
    ROW("REDIS_RETRY_MS", redis_retry_ms, INT, "100", 10, 60000,
        "wait before a failed node is probed again"),
    ROW_ADDRS("REDIS_SENTINELS", redis_sentinels, "",
        "whom to ask who the master is; empty: no Sentinel"),
    ROW("REDIS_SOCKET_DIR", redis_socket_dir, TEXT, "", 0, 0,
        "where this machine's nodes have sockets redis-PORT.sock; empty: TCP"),
    ROW("REDIS_TIMEOUT_MS", redis_timeout_ms, INT, "100", 1, 5000,
        "deadline of one Redis command"),
    ROW("REQUEST_QUEUE", request_queue, INT, "1024", 1, 100000,
        "most requests in work at once per process"),
    ROW("STATS_FOLD_MS", stats_fold_ms, INT, "1000", 10, 60000,
        "how often product deltas are folded into totals"),
    ROW("TOP_PRODUCTS_TTL_S", top_products_ttl_s, INT, "10", 1, 3600,
        "life of the cached top products, seconds"),
};
// clang-format on

#define N_ROWS (sizeof rows / sizeof *rows)

static const char *find(char *const envp[], const char *name)
{
    size_t len = strlen(name);
    for (; *envp; envp++) {
        if (strncmp(*envp, name, len) == 0 && (*envp)[len] == '=')
            return *envp + len + 1;
    }
    return NULL;
}

static bool is_host_name(const char *s)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789.-_";
    size_t len = strlen(s);
    return len > 0 && len <= 255 && strspn(s, allowed) == len;
}

static bool is_ipv6(const char *s)
{
    struct in6_addr ignored;
    return inet_pton(AF_INET6, s, &ignored) == 1;
}

// host:port or [IPv6 address]:port.
static bool read_addr(void *mem, const char *text, size_t len, struct config_addr *out)
{
    const char *colon = memrchr(text, ':', len);
    int64_t number;
    if (!colon ||
        !parse_int(colon + 1, (size_t)(text + len - colon - 1), 1, 65535, &number))
        return false;

    bool bracketed = colon - text > 2 && text[0] == '[' && colon[-1] == ']';
    const char *host = bracketed ? text + 1 : text;
    size_t host_len = (size_t)(colon - text) - (bracketed ? 2 : 0);
    out->host = mem_strndup(mem, host, host_len);
    out->port = mem_printf(mem, "%d", (int)number);
    return bracketed ? is_ipv6(out->host) : is_host_name(out->host);
}

// Commas between; nothing is a list of none.
static bool read_addrs(void *mem, const char *text, struct config_addr *out, size_t *n)
{
    *n = 0;
    for (const char *p = text; *p;) {
        const char *end = strchrnul(p, ',');
        if (*n == CONFIG_ADDRS_MAX || !read_addr(mem, p, (size_t)(end - p), &out[(*n)++]))
            return false;
        if (*end && !end[1])
            return false;
        p = *end ? end + 1 : end;
    }
    return true;
}

// False when `text` is not allowed.
static bool read_value(void *mem, const struct row *row, const char *text,
                       struct config *out)
{
    void *member = (char *)out + row->offset;
    int64_t number;
    switch (row->type) {
    case BOOL:
        *(bool *)member = strcmp(text, "on") == 0;
        return *(bool *)member || strcmp(text, "off") == 0;
    case INT:
        if (!parse_int(text, strlen(text), row->min, row->max, &number))
            return false;
        *(int *)member = (int)number;
        return true;
    case LEVEL:
        for (enum log_level level = 0; level < LOG__MAX; level++) {
            if (strcmp(text, log_level_name(level)) == 0) {
                *(enum log_level *)member = level;
                return true;
            }
        }
        return false;
    case STRING:
    case TEXT:
        *(char **)member = mem_strndup(mem, text, strlen(text));
        return row->type == TEXT || *text;
    case ADDR:
        return read_addr(mem, text, strlen(text), member);
    case ADDRS:
        return read_addrs(mem, text, member, (size_t *)((char *)out + row->n_offset));
    }
    return false;
}

static void print_allowed(FILE *file, const struct row *row)
{
    switch (row->type) {
    case BOOL:
        fputs("on or off", file);
        break;
    case INT:
        fprintf(file, "%d to %d", row->min, row->max);
        break;
    case LEVEL:
        fputs("error, warn, info or debug", file);
        break;
    case STRING:
        fputs("any text, not empty", file);
        break;
    case TEXT:
        fputs("any text", file);
        break;
    case ADDR:
        fputs("host:port", file);
        break;
    case ADDRS:
        fprintf(file, "up to %d host:port, commas between", CONFIG_ADDRS_MAX);
        break;
    }
}

bool config_load(void *mem, char *const envp[], struct config *out, FILE *errors)
{
    struct config config = {0};
    bool good = true;
    struct buf shown;
    buf_init(&shown, mem, 64);
    for (const struct row *row = rows; row < rows + N_ROWS; row++) {
        const char *text = find(envp, row->name);
        const char *used = text ? text : row->fallback;
        if (used && read_value(mem, row, used, &config))
            continue;
        good = false;
        buf_truncate(&shown, 0);
        if (used)
            json_put_string(&shown, used,
                            strlen(used)); // a line feed in it stays one line
        fprintf(errors, "%s is %s; allowed: ", row->name, used ? shown.data : "not set");
        print_allowed(errors, row);
        fputc('\n', errors);
    }
    talloc_free(shown.data);
    if (good)
        *out = config;
    return good;
}

void config_print_table(FILE *out)
{
    fputs("| name | default | allowed | meaning |\n|---|---|---|---|\n", out);
    for (const struct row *row = rows; row < rows + N_ROWS; row++) {
        if (!row->fallback)
            fprintf(out, "| `%s` | (required) | ", row->name);
        else if (!*row->fallback)
            fprintf(out, "| `%s` | | ", row->name);
        else
            fprintf(out, "| `%s` | `%s` | ", row->name, row->fallback);
        print_allowed(out, row);
        fprintf(out, " | %s |\n", row->doc);
    }
}
