// Puts a log line together in one buffer, cuts it to size, writes it.

#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/json.h"

static const char *const level_names[LOG__MAX] = {"error", "warn", "info", "debug"};
static enum log_level threshold = LOG_INFO;
static const char *request;

const char *log_level_name(enum log_level level)
{
    return level_names[level];
}

void log_set_level(enum log_level level)
{
    threshold = level;
}

bool log_enabled(enum log_level level)
{
    return level <= threshold;
}

void log_set_request(const char *request_id)
{
    request = request_id;
}

static void put_time(struct buf *line)
{
    struct timespec now;
    struct tm utc;
    char seconds[sizeof "-2147481748-12-31T23:59:60"];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    strftime(seconds, sizeof seconds, "%Y-%m-%dT%H:%M:%S", &utc);
    buf_printf(line, "{\"time\":\"%s.%06ldZ\"", seconds, now.tv_nsec / 1000);
}

// Of a longer string only the first `max` bytes are kept, less a character cut in two.
static void put_str(struct buf *line, const char *key, const char *s, size_t max)
{
    buf_printf(line, ",\"%s\":", key);
    if (!s) {
        buf_add_str(line, "null");
        return;
    }
    size_t len = strnlen(s, max + 1);
    if (len > max) {
        len = max;
        for (int i = 0; i < 3 && len && ((unsigned char)s[len] & 0xC0) == 0x80; i++)
            len--;
    }
    json_put_string(line, s, len);
}

static void put_field(struct buf *line, const struct log_field *f, size_t max)
{
    if (f->type == LOG_TYPE_STR)
        put_str(line, f->key, f->str, max);
    else if (f->type == LOG_TYPE_INT)
        buf_printf(line, ",\"%s\":%lld", f->key, (long long)f->num);
    else
        buf_printf(line, ",\"%s\":%.3f", f->key, (double)f->num / 1e6);
}

static void put_line(struct buf *line, enum log_level level,
                     const struct log_field *fields, size_t max)
{
    put_time(line);
    put_str(line, "level", log_level_name(level), max);
    put_field(line, fields++, max);
    buf_printf(line, ",\"pid\":%ld", (long)getpid());
    if (request)
        put_str(line, "request_id", request, max);
    for (; fields->type != LOG_TYPE_END; fields++)
        put_field(line, fields, max);
    buf_add_str(line, "}\n");
}

void log_write(enum log_level level, const struct log_field *fields)
{
    static struct buf line; // kept: a line costs no allocation
    int saved = errno;
    if (!line.data)
        buf_init(&line, NULL, LOG_LINE_MAX);

    // Too long: give all strings half as much until it fits.
    size_t max = LOG_LINE_MAX;
    do {
        buf_truncate(&line, 0);
        put_line(&line, level, fields, max);
        max /= 2;
    } while (line.len > LOG_LINE_MAX && max > 0);

    // A log that cannot be written must not stop the service, nor write itself again.
    ssize_t written;
    do
        written = write(STDERR_FILENO, line.data, line.len);
    while (written < 0 && errno == EINTR);
    errno = saved;
}
