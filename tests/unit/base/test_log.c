#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"

// Each record of a SOCK_SEQPACKET socket is what one write(2) wrote.
static int records[2];
static int true_stderr;

static int capture(void **state)
{
    true_stderr = dup(STDERR_FILENO);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, records) != 0 ||
        dup2(records[1], STDERR_FILENO) < 0)
        return -1;
    log_set_level(LOG_INFO);
    log_set_request(NULL);
    return unit_setup(state);
}

static int release(void **state)
{
    dup2(true_stderr, STDERR_FILENO);
    close(true_stderr);
    close(records[0]);
    close(records[1]);
    return unit_teardown(state);
}

// The next line as a string on `mem`, NULL when nothing was written.
static char *read_line(void *mem)
{
    char line[2 * LOG_LINE_MAX];
    ssize_t len = read(records[0], line, sizeof line);
    if (len < 0)
        return NULL;
    assert_true(len > 1 && len <= LOG_LINE_MAX);
    assert_int_equal(line[len - 1], '\n');
    assert_null(memchr(line, '\n', (size_t)len - 1));
    return mem_strndup(mem, line, (size_t)len - 1);
}

// The next line, which is JSON, as a tree.
static struct json_object *read_tree(void *mem)
{
    struct json_object *root = NULL;
    char *line = read_line(mem);
    assert_non_null(line);
    struct err e = json_parse(mem, line, strlen(line), &root);
    if (err_is(e))
        fail_msg("%s: %s", e.detail, line);
    return root;
}

static const char *member(struct json_object *root, const char *key)
{
    struct json_object *value;
    if (!json_object_object_get_ex(root, key, &value))
        return NULL;
    return value ? json_object_get_string(value) : "null";
}

static void a_line_has_all_members_in_order(void **state)
{
    void *mem = talloc_new(*state);
    log_event(LOG_WARN, "redis-down", LOG_STR("node", "replica-1"), LOG_INT("left", -2),
              LOG_MS("after", 1234567), LOG_STR("none", NULL));
    char *line = read_line(mem);
    char *expected =
        mem_printf(mem,
                   "\",\"level\":\"warn\",\"event\":\"redis-down\",\"pid\":%d,"
                   "\"node\":\"replica-1\",\"left\":-2,\"after\":1.235,"
                   "\"none\":null}",
                   (int)getpid());
    static const char form[] = "{\"time\":\"dddd-dd-ddTdd:dd:dd.ddddddZ";
    for (size_t i = 0; i < sizeof form - 1; i++) {
        if (form[i] == 'd' && i > 8)
            assert_in_range(line[i], '0', '9');
        else
            assert_int_equal(line[i], form[i]);
    }
    assert_string_equal(line + sizeof form - 1, expected);
    assert_null(read_line(mem));
    talloc_free(mem);
}

static void the_time_is_now_in_utc(void **state)
{
    void *mem = talloc_new(*state);
    setenv("TZ", "Asia/Kathmandu", 1);
    tzset();
    time_t before = time(NULL);
    log_event(LOG_INFO, "x");
    struct tm t = {0};
    const char *rest = strptime(member(read_tree(mem), "time"), "%Y-%m-%dT%H:%M:%S", &t);
    assert_non_null(rest);
    assert_int_equal(*rest, '.');
    // time() is of the last tick and so may be a second behind.
    assert_in_range(timegm(&t), before, time(NULL) + 1);
    unsetenv("TZ");
    tzset();
    talloc_free(mem);
}

static void a_line_may_have_no_fields(void **state)
{
    void *mem = talloc_new(*state);
    log_event(LOG_ERROR, "bare");
    struct json_object *root = read_tree(mem);
    assert_string_equal(member(root, "event"), "bare");
    assert_string_equal(member(root, "level"), "error");
    assert_int_equal(json_object_object_length(root), 4);
    talloc_free(mem);
}

static int evaluated;

static int64_t count(void)
{
    return ++evaluated;
}

static void levels_are_obeyed(void **state)
{
    void *mem = talloc_new(*state);
    static const char *const names[] = {"error", "warn", "info", "debug"};
    for (enum log_level threshold = 0; threshold < LOG__MAX; threshold++) {
        log_set_level(threshold);
        for (enum log_level level = 0; level < LOG__MAX; level++) {
            evaluated = 0;
            log_event(level, "x", LOG_INT("n", count()));
            assert_string_equal(log_level_name(level), names[level]);
            assert_int_equal(log_enabled(level), level <= threshold);
            assert_int_equal(evaluated, level <= threshold);
            if (level <= threshold)
                assert_string_equal(member(read_tree(mem), "level"), names[level]);
            assert_null(read_line(mem));
        }
    }
    talloc_free(mem);
}

static void the_request_is_named(void **state)
{
    void *mem = talloc_new(*state);
    log_set_request("4f1e");
    log_event(LOG_INFO, "in");
    log_set_request(NULL);
    log_event(LOG_INFO, "out");
    assert_string_equal(member(read_tree(mem), "request_id"), "4f1e");
    assert_null(member(read_tree(mem), "request_id"));
    talloc_free(mem);
}

static void text_cannot_break_a_line(void **state)
{
    void *mem = talloc_new(*state);
    log_set_request("\"},\n{\"");
    log_event(LOG_INFO, "x", LOG_STR("a", "\",\"level\":\"error\"}\n{\"b\":\"\\"),
              LOG_STR("b", "\x01\xFF\xC3\xA9"));
    struct json_object *root = read_tree(mem);
    assert_string_equal(member(root, "request_id"), "\"},\n{\"");
    assert_string_equal(member(root, "a"), "\",\"level\":\"error\"}\n{\"b\":\"\\");
    assert_string_equal(member(root, "b"), "\x01\xEF\xBF\xBD\xC3\xA9");
    assert_string_equal(member(root, "level"), "info");
    assert_null(read_line(mem));
    talloc_free(mem);
}

static void numbers_are_written_whole(void **state)
{
    void *mem = talloc_new(*state);
    log_event(LOG_INFO, "x", LOG_INT("min", INT64_MIN), LOG_INT("max", INT64_MAX),
              LOG_MS("zero", 0), LOG_MS("us", 1000),
              LOG_MS("hour", INT64_C(3600000000000)), LOG_MS("back", -1500000));
    struct json_object *root = read_tree(mem);
    assert_string_equal(member(root, "min"), "-9223372036854775808");
    assert_string_equal(member(root, "max"), "9223372036854775807");
    assert_string_equal(member(root, "zero"), "0.000");
    assert_string_equal(member(root, "us"), "0.001");
    assert_string_equal(member(root, "hour"), "3600000.000");
    assert_string_equal(member(root, "back"), "-1.500");
    talloc_free(mem);
}

// Whatever the strings are made of, and however many there are.
static void long_lines_are_cut_and_stay_json(void **state)
{
    static const char *const fillings[] = {
        "a", "\"", "\x01", "\xFF", "\xC3\xA9", "\xF0\x9F\x98\x80", "\x80"};
    for (size_t i = 0; i < LENGTH(fillings); i++) {
        for (size_t times = 3900; times < 4200; times += 7) {
            void *mem = talloc_new(*state);
            struct buf text;
            buf_init(&text, mem, 20000);
            for (size_t n = 0; n < times; n++)
                buf_add_str(&text, fillings[i]);
            log_event(LOG_INFO, "x", LOG_STR("s", text.data), LOG_INT("end", 1));
            struct json_object *root = read_tree(mem);
            assert_string_equal(member(root, "end"), "1");
            assert_null(read_line(mem));
            talloc_free(mem);
        }
    }
}

static void cut_lines_keep_much(void **state)
{
    void *mem = talloc_new(*state);
    char *text = mem_array(mem, char, 100001);
    memset(text, 'a', 100000);
    log_event(LOG_INFO, "x", LOG_STR("s", text), LOG_STR("t", "short"));
    struct json_object *root = read_tree(mem);
    assert_true(strlen(member(root, "s")) >= LOG_LINE_MAX / 2);
    assert_string_equal(member(root, "t"), "short");

    // A cut never leaves part of a character.
    for (size_t i = 0; i + 2 < 100000; i += 3)
        memcpy(text + i, "\xE2\x82\xAC", 3);
    log_event(LOG_INFO, "x", LOG_STR("s", text));
    const char *cut = member(read_tree(mem), "s");
    assert_null(strstr(cut, "\xEF\xBF\xBD"));
    assert_int_equal(strlen(cut) % 3, 0);
    talloc_free(mem);
}

static void the_longest_line_fits_a_pipe(void **state)
{
    (void)state;
    assert_true(LOG_LINE_MAX <= PIPE_BUF);
}

static void errno_survives(void **state)
{
    void *mem = talloc_new(*state);
    errno = EPROTO;
    log_event(LOG_INFO, "x");
    assert_int_equal(errno, EPROTO);
    assert_non_null(read_line(mem));

    // Nobody reads and there is no room: the line is lost, the program goes on.
    fcntl(records[1], F_SETFL, O_NONBLOCK);
    for (int i = 0; i < 10000; i++)
        log_event(LOG_INFO, "x", LOG_INT("i", i));
    assert_int_equal(errno, EPROTO);
    talloc_free(mem);
}

#define LOG_TEST(f) cmocka_unit_test_setup_teardown(f, capture, release)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOG_TEST(a_line_has_all_members_in_order),
        LOG_TEST(the_time_is_now_in_utc),
        LOG_TEST(a_line_may_have_no_fields),
        LOG_TEST(levels_are_obeyed),
        LOG_TEST(the_request_is_named),
        LOG_TEST(text_cannot_break_a_line),
        LOG_TEST(numbers_are_written_whole),
        LOG_TEST(long_lines_are_cut_and_stay_json),
        LOG_TEST(cut_lines_keep_much),
        LOG_TEST(the_longest_line_fits_a_pipe),
        LOG_TEST(errno_survives),
    };
    return UNIT_RUN(tests);
}
