#include "../data/metrics_unit.h"
#include "http_unit.h"

#include <stdbool.h>

#include "base/clock.h"
#include "http/dispatch.h"

// A small API of its own, whose handlers note that they were called.

static int calls;
static int answer_status;
static struct err answer_err;

static struct err handle(struct request *req)
{
    calls++;
    reply_header(req, "X-Handled", "yes");
    reply_set(req, answer_status, "text/plain", "fine", 4);
    return answer_err;
}

static const struct route item_routes[] = {
    {METHOD_GET, BODY_IGNORED, "/item/{id}", handle},
    {METHOD_POST, BODY_JSON, "/item/{id}/add", handle},
    {METHOD_POST, BODY_IGNORED, "/item/{id}/clear", handle},
    {METHOD_PUT, BODY_JSON, "/item/{id}/update", handle},
    // For a GET the column has no meaning.
    {METHOD_GET, BODY_JSON, "/odd", handle},
    {0},
};
static const struct route_table tables[] = {{item_routes}, {NULL}};

static struct request *req;

static int setup(void **state)
{
    int failed = unit_setup(state);
    calls = 0;
    answer_status = 200;
    answer_err = err_ok();
    return failed;
}

static int teardown(void **state)
{
    if (req)
        talloc_free(req->work.mem);
    req = NULL;
    return unit_teardown(state);
}

#define DISPATCH_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

static void make(void **state, const char *method, const char *path)
{
    if (req)
        talloc_free(req->work.mem);
    req = http_unit_request(*state, method, path);
    req->begun = clock_mono_ns();
    calls = 0;
}

static bool answered_with(enum err_code code)
{
    char expected[64];
    snprintf(expected, sizeof expected, "\"code\":\"%s\"", err_slug(code));
    return req->reply.status == err_status(code) && strstr(req->reply.body, expected);
}

static void check_handled(void)
{
    dispatch(req);
    assert_int_equal(calls, 1);
    assert_int_equal(req->reply.status, 200);
    assert_string_equal(req->reply.body, "fine");
    assert_string_equal(req->reply.headers.data, "X-Handled: yes\r\n");
}

static void check_refused(enum err_code code)
{
    dispatch(req);
    assert_int_equal(calls, 0);
    assert_true(answered_with(code));
    assert_string_equal(req->reply.type, "application/problem+json");
}

static void a_request_reaches_its_handler(void **state)
{
    make(state, "GET", "/item/7");
    check_handled();
    assert_ptr_equal(req->route, &item_routes[0]);
    assert_string_equal(req->params[0].text, "7");
    make(state, "HEAD", "/item/7");
    check_handled();
    make(state, "POST", "/item/7/clear");
    check_handled();
    make(state, "POST", "/item/7/add");
    req->content_type = "application/json";
    check_handled();
}

static void a_handlers_error_is_a_problem(void **state)
{
    make(state, "GET", "/item/7");
    answer_err = err_make(ERR_DATABASE_UNAVAILABLE, NULL, "away");
    dispatch(req);
    assert_int_equal(calls, 1);
    assert_true(answered_with(ERR_DATABASE_UNAVAILABLE));
    assert_string_equal(req->reply.headers.data, "X-Handled: yes\r\nRetry-After: 1\r\n");
    assert_int_equal(req->reply.len, strlen(req->reply.body));
}

static void unknown_paths_and_methods_are_refused(void **state)
{
    make(state, "GET", "/nowhere");
    check_refused(ERR_NOT_FOUND);
    assert_null(req->route);
    assert_string_equal(req->reply.headers.data, "");
    make(state, "DELETE", "/item/7");
    check_refused(ERR_METHOD_NOT_ALLOWED);
    assert_null(req->route);
    assert_string_equal(req->reply.headers.data, "Allow: GET, HEAD\r\n");
    make(state, "HEAD", "/item/7/add");
    check_refused(ERR_METHOD_NOT_ALLOWED);
    assert_string_equal(req->reply.headers.data, "Allow: POST\r\n");
}

static void a_body_needs_its_type(void **state)
{
    static const char *const good[] = {
        "application/json", "application/json; charset=utf-8", "Application/JSON",
        "application/json;charset=\"UTF-8\"", "application/json ; charset=utf-8"};
    static const char *const bad[] = {NULL,
                                      "",
                                      "text/plain",
                                      "text/json",
                                      "application/jsonx",
                                      "application/json; charset=latin1",
                                      "application/json, text/plain",
                                      "application/problem+json",
                                      "application/x-www-form-urlencoded",
                                      "multipart/form-data"};
    static const struct {
        const char *method, *path;
    } needing[] = {{"POST", "/item/7/add"}, {"PUT", "/item/7/update"}},
      ignoring[] = {{"POST", "/item/7/clear"}, {"GET", "/odd"}, {"GET", "/item/7"}};
    for (size_t r = 0; r < LENGTH(needing); r++) {
        for (size_t i = 0; i < LENGTH(good); i++) {
            make(state, needing[r].method, needing[r].path);
            req->content_type = good[i];
            check_handled();
        }
        for (size_t i = 0; i < LENGTH(bad); i++) {
            make(state, needing[r].method, needing[r].path);
            req->content_type = bad[i];
            check_refused(ERR_UNSUPPORTED_MEDIA_TYPE);
        }
    }
    for (size_t r = 0; r < LENGTH(ignoring); r++)
        for (size_t i = 0; i < LENGTH(bad); i++) {
            make(state, ignoring[r].method, ignoring[r].path);
            req->content_type = bad[i];
            check_handled();
        }
}

static void a_body_has_its_limit(void **state)
{
    static const struct {
        const char *method, *path;
    } rows[] = {{"POST", "/item/7/add"}, {"POST", "/item/7/clear"}, {"GET", "/item/7"}};
    for (size_t i = 0; i < LENGTH(rows); i++) {
        make(state, rows[i].method, rows[i].path);
        req->content_type = "application/json";
        req->body_too_large = true;
        check_refused(ERR_BODY_TOO_LARGE);
    }
}

static void idempotency_keys_of_writes_are_checked(void **state)
{
    char longest[257];
    memset(longest, 'k', 256);
    longest[256] = '\0';
    static const struct {
        const char *method, *path;
    } routes[] = {{"POST", "/item/7/clear"}, {"PUT", "/item/7/update"}};
    for (size_t r = 0; r < LENGTH(routes); r++) {
        static const char *const good[] = {
            "k",          "!",       "~",
            "\"quoted\"", "a,b;c=d", "5f0c7c1e-9d7e-4b0f-8d57-0c8c9b6f2e11"};
        static const char *const bad[] = {"",         " ",    "a b",  " a",
                                          "a ",       "a\tb", "\x7F", "\x1F",
                                          "\xC3\xA9", "\x80", "k\n",  "\xFF"};
        for (size_t i = 0; i < LENGTH(good); i++) {
            make(state, routes[r].method, routes[r].path);
            req->content_type = "application/json";
            req->idempotency_key = good[i];
            check_handled();
        }
        for (size_t i = 0; i < LENGTH(bad); i++) {
            make(state, routes[r].method, routes[r].path);
            req->content_type = "application/json";
            req->idempotency_key = bad[i];
            check_refused(ERR_INVALID_IDEMPOTENCY_KEY);
        }
        make(state, routes[r].method, routes[r].path);
        req->content_type = "application/json";
        req->idempotency_key = longest;
        check_refused(ERR_INVALID_IDEMPOTENCY_KEY);
        make(state, routes[r].method, routes[r].path);
        req->content_type = "application/json";
        req->idempotency_key = longest + 1;
        check_handled();
    }
    make(state, "GET", "/item/7"); // means nothing there
    req->idempotency_key = " ";
    check_handled();
}

static void conditions_are_checked_for_their_form(void **state)
{
    static const char *const good[] = {
        "*", "\"7\"", "W/\"7\"",        "\"a\", \"b\"", "\"\"",
        "",  ",",     "\"7\",,W/\"8\"", "\"\xC3\xA9\""};
    static const char *const bad[] = {"7",       "\"7",    "7\"",      "'7'",
                                      "w/\"7\"", "* ,*",   "*, \"7\"", "\"7\" \"8\"",
                                      "W/7",     "\"a\"b", "\"a b\"",  "W/ \"7\""};
    for (size_t i = 0; i < LENGTH(good); i++) {
        make(state, "GET", "/item/7");
        req->if_match = good[i];
        req->if_none_match = good[i];
        check_handled();
    }
    for (size_t i = 0; i < LENGTH(bad); i++) {
        make(state, "GET", "/item/7");
        req->if_match = bad[i];
        check_refused(ERR_INVALID_IF_MATCH);
        make(state, "POST", "/item/7/clear");
        req->if_none_match = bad[i];
        check_refused(ERR_INVALID_IF_NONE_MATCH);
    }
}

// With everything wrong, what is told first.
static void faults_are_told_in_a_fixed_order(void **state)
{
    static const struct {
        const char *method, *path;
        bool large;
        const char *key, *match, *none_match, *type;
        enum err_code code;
    } rows[] = {
        {"PUT", "/x", true, " ", "x", "x", "x", ERR_NOT_FOUND},
        {"PUT", "/item/7/add", true, " ", "x", "x", "x", ERR_METHOD_NOT_ALLOWED},
        {"POST", "/item/7/add", true, " ", "x", "x", "x", ERR_BODY_TOO_LARGE},
        {"POST", "/item/7/add", false, " ", "x", "x", "x", ERR_INVALID_IDEMPOTENCY_KEY},
        {"POST", "/item/7/add", false, "k", "x", "x", "x", ERR_INVALID_IF_MATCH},
        {"POST", "/item/7/add", false, "k", "*", "x", "x", ERR_INVALID_IF_NONE_MATCH},
        {"POST", "/item/7/add", false, "k", "*", "*", "x", ERR_UNSUPPORTED_MEDIA_TYPE},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        make(state, rows[i].method, rows[i].path);
        req->body_too_large = rows[i].large;
        req->idempotency_key = rows[i].key;
        req->if_match = rows[i].match;
        req->if_none_match = rows[i].none_match;
        req->content_type = rows[i].type;
        check_refused(rows[i].code);
    }
}

static void too_many_requests_are_turned_away(void **state)
{
    make(state, "GET", "/item/7");
    dispatch_overloaded(req);
    assert_int_equal(calls, 0);
    assert_null(req->route);
    assert_true(answered_with(ERR_OVERLOADED));
    assert_string_equal(req->reply.headers.data, "Retry-After: 1\r\n");
}

// Metrics

static void requests_are_counted_by_route_and_status(void **state)
{
    static const struct {
        const char *method, *path;
        int status;
        const char *labels;
    } rows[] = {
        {"GET", "/item/7", 200, "route=\"/item/{id}\",method=\"GET\",status=\"200\""},
        {"GET", "/item/8", 200, "route=\"/item/{id}\",method=\"GET\",status=\"200\""},
        {"HEAD", "/item/7", 200, "route=\"/item/{id}\",method=\"GET\",status=\"200\""},
        {"GET", "/item/7", 304, "route=\"/item/{id}\",method=\"GET\",status=\"304\""},
        {"POST", "/item/7/clear", 201,
         "route=\"/item/{id}/clear\",method=\"POST\",status=\"201\""},
        {"PUT", "/item/7/update", 415,
         "route=\"/item/{id}/update\",method=\"PUT\",status=\"415\""},
        {"GET", "/odd", 500, "route=\"/odd\",method=\"GET\",status=\"500\""},
        {"GET", "/nowhere", 404, "route=\"none\",method=\"\",status=\"404\""},
        {"PUT", "/item/7", 405, "route=\"none\",method=\"\",status=\"405\""},
        // One that the program does not know of counts as a failure.
        {"GET", "/item/7", 418, "route=\"/item/{id}\",method=\"GET\",status=\"500\""},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        char series[160];
        snprintf(series, sizeof series, "carrito_requests_total{%s}", rows[i].labels);
        long long before = metrics_unit_value(series);
        make(state, rows[i].method, rows[i].path);
        answer_status = rows[i].status;
        dispatch(req);
        assert_int_equal(metrics_unit_value(series), before);
        dispatch_count(req);
        assert_int_equal(metrics_unit_value(series), before + 1);
    }
}

static void every_status_of_the_table_has_its_series(void **state)
{
    for (enum err_code code = ERR_NONE; code < ERR__MAX; code++) {
        char series[160];
        snprintf(series, sizeof series,
                 "carrito_requests_total{route=\"/odd\",method=\"GET\",status=\"%d\"}",
                 err_status(code));
        long long before = metrics_unit_value(series);
        make(state, "GET", "/odd");
        answer_status = err_status(code);
        dispatch(req);
        dispatch_count(req);
        assert_int_equal(metrics_unit_value(series), before + 1);
    }
}

static void times_are_counted_by_route(void **state)
{
    static const char count[] = "carrito_request_duration_seconds_count"
                                "{route=\"/item/{id}\",method=\"GET\"}";
    static const char none[] = "carrito_request_duration_seconds_count"
                               "{route=\"none\",method=\"\"}";
    static const char slow[] = "carrito_request_duration_seconds_bucket"
                               "{route=\"/item/{id}\",method=\"GET\",le=\"1\"}";
    long long n = metrics_unit_value(count), m = metrics_unit_value(none),
              s = metrics_unit_value(slow);
    make(state, "GET", "/item/7");
    req->begun -= 2 * INT64_C(1000000000);
    dispatch(req);
    dispatch_count(req);
    assert_int_equal(metrics_unit_value(count), n + 1);
    assert_int_equal(metrics_unit_value(slow), s); // it took two seconds
    make(state, "GET", "/item/7");
    dispatch_overloaded(req);
    dispatch_count(req);
    assert_int_equal(metrics_unit_value(none), m + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DISPATCH_TEST(a_request_reaches_its_handler),
        DISPATCH_TEST(a_handlers_error_is_a_problem),
        DISPATCH_TEST(unknown_paths_and_methods_are_refused),
        DISPATCH_TEST(a_body_needs_its_type),
        DISPATCH_TEST(a_body_has_its_limit),
        DISPATCH_TEST(idempotency_keys_of_writes_are_checked),
        DISPATCH_TEST(conditions_are_checked_for_their_form),
        DISPATCH_TEST(faults_are_told_in_a_fixed_order),
        DISPATCH_TEST(too_many_requests_are_turned_away),
        DISPATCH_TEST(requests_are_counted_by_route_and_status),
        DISPATCH_TEST(every_status_of_the_table_has_its_series),
        DISPATCH_TEST(times_are_counted_by_route),
    };
    dispatch_setup(tables);
    return UNIT_RUN(tests);
}
