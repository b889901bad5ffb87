// The log: one JSON object a line on stderr, each written by a single write(2).
//
// A line is at most LOG_LINE_MAX bytes, which is PIPE_BUF: lines of several processes on
// one pipe never mix. Longer ones have their strings cut. Text goes through
// json_put_string, so nothing a user sends can forge a line or break one. For the main
// thread only, and not for signal handlers.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define LOG_LINE_MAX 4096 // bytes, with the line feed

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG, LOG__MAX };

enum log_type { LOG_TYPE_END, LOG_TYPE_STR, LOG_TYPE_INT, LOG_TYPE_MS };

struct log_field {
    const char *key;
    enum log_type type;
    const char *str;
    int64_t num;
};

// Fields of a line. Keys are plain literals. A NULL string is written as null. LOG_MS
// takes nanoseconds and writes milliseconds with three decimals.
#define LOG_STR(k, s) ((struct log_field){.key = (k), .type = LOG_TYPE_STR, .str = (s)})
#define LOG_INT(k, n) ((struct log_field){.key = (k), .type = LOG_TYPE_INT, .num = (n)})
#define LOG_MS(k, ns) ((struct log_field){.key = (k), .type = LOG_TYPE_MS, .num = (ns)})

// log_event(LOG_WARN, "redis-down", LOG_STR("node", name), LOG_INT("errno", errno)): a
// line with time (RFC 3339, UTC, microseconds), level, event, pid, request_id if set, and
// the fields. The fields are not evaluated when the level is switched off. Keeps errno.
#define log_event(level, event, ...)                          \
    do {                                                      \
        if (log_enabled(level)) {                             \
            const struct log_field log_fields[] = {           \
                LOG_STR("event", event), ##__VA_ARGS__, {0}}; \
            log_write(level, log_fields);                     \
        }                                                     \
    } while (0)

// The name as in LOG_LEVEL: error, warn, info, debug.
const char *log_level_name(enum log_level level);

// Lines above this level are dropped; LOG_INFO at first.
void log_set_level(enum log_level level);
bool log_enabled(enum log_level level);

// The id that following lines carry as request_id; NULL for none. It is not copied.
void log_set_request(const char *request_id);

// Behind log_event: the first of `fields` is the event, the last has type LOG_TYPE_END.
void log_write(enum log_level level, const struct log_field *fields);
