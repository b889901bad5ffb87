#include "http_unit.h"

#include "http/router.h"
#include "routes.h"

static const struct route untouched_route;
static const char untouched_allow[] = "untouched";

// Matches, and compares: the pattern of the route, or its absence and the Allow header.
// Returns the request for a look at its parameters; the caller frees it.
static struct request *match_in(const struct route_table *tables, void *mem,
                                const char *method, const char *path, const char *pattern,
                                const char *allow)
{
    struct request *req = http_unit_request(mem, method, path);
    const struct route *route = &untouched_route;
    const char *allowed = untouched_allow;
    struct err err = router_match(tables, req, &route, &allowed);
    enum err_code expected = pattern ? ERR_NONE
                             : allow ? ERR_METHOD_NOT_ALLOWED
                                     : ERR_NOT_FOUND;
    if (err.code != expected)
        fail_msg("%s %s: %s", method, path, err_slug(err.code));
    if (pattern && strcmp(route->pattern, pattern) != 0)
        fail_msg("%s %s: %s instead of %s", method, path, route->pattern, pattern);
    if (!pattern)
        assert_ptr_equal(route, &untouched_route);
    assert_string_equal(allowed, allow ? allow : untouched_allow);
    return req;
}

static void expect(void *mem, const char *method, const char *path, const char *pattern,
                   const char *allow)
{
    talloc_free(match_in(routes, mem, method, path, pattern, allow)->work.mem);
}

static void every_route_is_found(void **state)
{
    static const struct {
        const char *method, *path, *pattern;
    } rows[] = {
        {"GET", "/cart/user123", "/cart/{user_id}"},
        {"HEAD", "/cart/user123", "/cart/{user_id}"},
        {"POST", "/cart/user123/add", "/cart/{user_id}/add"},
        {"POST", "/cart/user123/remove/5", "/cart/{user_id}/remove/{product_id}"},
        {"PUT", "/cart/user123/update/5", "/cart/{user_id}/update/{product_id}"},
        {"POST", "/cart/user123/clear", "/cart/{user_id}/clear"},
        {"GET", "/stats/top-products", "/stats/top-products"},
        {"HEAD", "/stats/top-products", "/stats/top-products"},
        {"GET", "/health/live", "/health/live"},
        {"HEAD", "/health/live", "/health/live"},
        {"GET", "/health/ready", "/health/ready"},
        {"HEAD", "/health/ready", "/health/ready"},
        {"GET", "/metrics", "/metrics"},
        {"HEAD", "/metrics", "/metrics"},
    };
    for (size_t i = 0; i < LENGTH(rows); i++)
        expect(*state, rows[i].method, rows[i].path, rows[i].pattern, NULL);
    // And no route is left out above.
    size_t n = 0;
    for (const struct route_table *table = routes; table->routes; table++)
        for (const struct route *r = table->routes; r->pattern; r++, n++) {
            bool known = false;
            for (size_t i = 0; i < LENGTH(rows); i++)
                known = known || strcmp(rows[i].pattern, r->pattern) == 0;
            assert_true(known);
            assert_non_null(r->handle);
        }
    assert_int_equal(n, 9);
}

static void bodies_are_asked_for_where_they_are_needed(void **state)
{
    (void)state;
    for (const struct route_table *table = routes; table->routes; table++)
        for (const struct route *r = table->routes; r->pattern; r++) {
            bool needs = strstr(r->pattern, "/add") || strstr(r->pattern, "/update/");
            assert_int_equal(r->body, needs ? BODY_JSON : BODY_IGNORED);
        }
}

static void other_paths_are_not_found(void **state)
{
    static const char *const paths[] = {
        "",
        "/",
        "//",
        "*",
        "cart/u",
        "/cart",
        "/cart/",
        "/cart//",
        "/cart//add",
        "/cart/u/",
        "//cart/u",
        "/cart//u",
        "/Cart/u",
        "/CART/u",
        "/carts/u",
        "/car/u",
        "/cart/u/Add",
        "/cart/u/ad",
        "/cart/u/adds",
        "/cart/u/add/",
        "/cart/u/add/1",
        "/cart/u//add",
        "/cart/u/clear/",
        "/cart/u/remove",
        "/cart/u/remove/",
        "/cart/u/remove/1/",
        "/cart/u/remove/1/2",
        "/cart/u/remove//1",
        "/cart/u/update",
        "/cart/u/update/",
        "/cart/u/update/1/2",
        "/cart/u/delete/1",
        "/stats",
        "/stats/",
        "/stats/top-products/",
        "/stats/top-product",
        "/stats/top-productss",
        "/health",
        "/health/",
        "/health/live/",
        "/health/dead",
        "/metrics/",
        "/metric",
        "/metricss",
        "/openapi.json",
        "/favicon.ico",
        "/cart/./u",
        "/cart/../metrics",
        "/metrics;a=b",
    };
    static const char *const methods[] = {"GET", "HEAD", "POST", "PUT", "DELETE"};
    for (size_t i = 0; i < LENGTH(paths); i++)
        for (size_t m = 0; m < LENGTH(methods); m++)
            expect(*state, methods[m], paths[i], NULL, NULL);
}

static void other_methods_are_told_which_are_allowed(void **state)
{
    static const struct {
        const char *path, *methods, *allow;
    } rows[] = {
        {"/cart/u", "POST PUT DELETE PATCH OPTIONS get", "GET, HEAD"},
        {"/cart/u/add", "GET HEAD PUT DELETE post", "POST"},
        {"/cart/u/clear", "GET HEAD PUT DELETE", "POST"},
        {"/cart/u/remove/1", "GET HEAD PUT DELETE", "POST"},
        {"/cart/u/update/1", "GET HEAD POST PATCH", "PUT"},
        {"/stats/top-products", "POST PUT DELETE", "GET, HEAD"},
        {"/health/live", "POST PUT DELETE", "GET, HEAD"},
        {"/health/ready", "POST PUT DELETE", "GET, HEAD"},
        {"/metrics", "POST PUT TRACE", "GET, HEAD"},
        // Whether the id is good is not asked here.
        {"/cart/%20", "POST", "GET, HEAD"},
        {"/cart/u/update/x", "POST", "PUT"},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        char methods[64], *rest;
        strcpy(methods, rows[i].methods);
        for (char *m = strtok_r(methods, " ", &rest); m; m = strtok_r(NULL, " ", &rest))
            expect(*state, m, rows[i].path, NULL, rows[i].allow);
    }
}

// Parameters

static void check_param(const struct request *req, int number, const char *text,
                        size_t len)
{
    assert_int_equal(req->params[number].len, len);
    assert_memory_equal(req->params[number].text, text, len + 1);
}

static void parameters_are_decoded(void **state)
{
    static const struct {
        const char *segment, *text;
        size_t len;
    } rows[] = {
        {"user123", "user123", 7},
        {"%75ser%3123", "user123", 7},
        {"a%20b", "a b", 3},
        {"a+b", "a+b", 3},
        {"a%2Bb", "a+b", 3},
        {"%C3%A9", "\xC3\xA9", 2},
        {"%c3%a9", "\xC3\xA9", 2},
        {"\xC3\xA9", "\xC3\xA9", 2},
        {"%ff", "\xFF", 1},
        {"a%2Fb", "a/b", 3},
        {"a%2fadd", "a/add", 5},
        {"%00", "\0", 1},
        {"a%00b", "a\0b", 3},
        {"%25", "%", 1},
        {"%2541", "%41", 3}, // once, not again
        {"%2e", ".", 1},
        {"%2E%2e", "..", 2},
        {".", ".", 1},
        {"..", "..", 2},
        {"{user_id}", "{user_id}", 9},
        {"add", "add", 3},
        {"a;b=c", "a;b=c", 5},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        char path[64];
        snprintf(path, sizeof path, "/cart/%s", rows[i].segment);
        struct request *req =
            match_in(routes, *state, "GET", path, "/cart/{user_id}", NULL);
        check_param(req, 0, rows[i].text, rows[i].len);
        talloc_free(req->work.mem);

        snprintf(path, sizeof path, "/cart/%s/remove/%s", rows[i].segment,
                 rows[i].segment);
        req = match_in(routes, *state, "POST", path,
                       "/cart/{user_id}/remove/{product_id}", NULL);
        check_param(req, 0, rows[i].text, rows[i].len);
        check_param(req, 1, rows[i].text, rows[i].len);
        talloc_free(req->work.mem);
    }
}

static void malformed_escapes_are_not_found(void **state)
{
    static const char *const paths[] = {
        "/cart/%",    "/cart/u%",         "/cart/u%2",   "/cart/%zz",    "/cart/%2g",
        "/cart/%g2",  "/cart/%%",         "/cart/% 2",   "/cart/u/a%dd", "/cart/u/%",
        "/%63art%/u", "/cart/u/remove/%", "/cart/%/add", "/cart/%2/add", "/%zart/u",
        "/metrics%",  "/metrics%0",       "/metric%7",   "/cart/%u0041", "/cart/%-1",
    };
    static const char *const methods[] = {"GET", "POST", "PUT", "DELETE"};
    for (size_t i = 0; i < LENGTH(paths); i++)
        for (size_t m = 0; m < LENGTH(methods); m++)
            expect(*state, methods[m], paths[i], NULL, NULL);
}

static void fixed_segments_may_be_encoded_too(void **state)
{
    expect(*state, "GET", "/%63art/u", "/cart/{user_id}", NULL);
    expect(*state, "GET", "/%63%61%72%74/u", "/cart/{user_id}", NULL);
    expect(*state, "POST", "/cart/u/%61dd", "/cart/{user_id}/add", NULL);
    expect(*state, "GET", "/stats/top%2Dproducts", "/stats/top-products", NULL);
    expect(*state, "GET", "/stats/top%2dproducts", "/stats/top-products", NULL);
    expect(*state, "GET", "/m%65trics", "/metrics", NULL);
    expect(*state, "DELETE", "/m%65trics", NULL, "GET, HEAD");
    expect(*state, "GET", "/metrics%00", NULL, NULL);
    expect(*state, "GET", "/%43art/u", NULL, NULL);
    // An encoded slash separates nothing.
    expect(*state, "GET", "/health%2Flive", NULL, NULL);
    expect(*state, "GET", "/cart%2Fu", NULL, NULL);
    expect(*state, "POST", "/cart/u%2Fadd", NULL, "GET, HEAD");
}

static void long_paths_are_read_to_their_end(void **state)
{
    size_t len = 8000;
    char *path = mem_array(*state, char, len + 1);
    memset(path, 'x', len);
    memcpy(path, "/cart/", 6);
    struct request *req = match_in(routes, *state, "GET", path, "/cart/{user_id}", NULL);
    assert_int_equal(req->params[0].len, len - 6);
    talloc_free(req->work.mem);
    memset(path + 6, '/', len - 6);
    expect(*state, "GET", path, NULL, NULL);
    talloc_free(path);
}

// Tables made for the purpose

static struct err handle(struct request *req)
{
    (void)req;
    return err_ok();
}

static const struct route first_routes[] = {
    {METHOD_GET, BODY_IGNORED, "/a/{x}", handle},
    {METHOD_POST, BODY_IGNORED, "/a/b", handle},
    {METHOD_GET, BODY_IGNORED, "/x/{a}/end", handle},
    {METHOD_GET, BODY_IGNORED, "/x/{b}/{c}", handle},
    {METHOD_GET, BODY_IGNORED, "/", handle},
    {0},
};
static const struct route second_routes[] = {
    {METHOD_GET, BODY_IGNORED, "/a/b", handle},
    {METHOD_PUT, BODY_IGNORED, "/a/{y}", handle},
    {METHOD_PUT, BODY_IGNORED, "/only/{y}", handle},
    {0},
};
static const struct route_table two[] = {{first_routes}, {second_routes}, {NULL}};

static void the_first_of_several_wins(void **state)
{
    static const struct {
        const char *method, *path, *pattern, *allow;
    } rows[] = {
        {"GET", "/a/b", "/a/{x}", NULL},
        {"POST", "/a/b", "/a/b", NULL},
        {"PUT", "/a/b", "/a/{y}", NULL},
        {"DELETE", "/a/b", NULL, "GET, HEAD, POST, PUT"},
        {"POST", "/a/c", NULL, "GET, HEAD, PUT"},
        {"GET", "/only/b", NULL, "PUT"},
        {"GET", "/", "/", NULL},
        {"GET", "", NULL, NULL},
        {"GET", "//", NULL, NULL},
    };
    for (size_t i = 0; i < LENGTH(rows); i++)
        talloc_free(match_in(two, *state, rows[i].method, rows[i].path, rows[i].pattern,
                             rows[i].allow)
                        ->work.mem);
}

static void parameters_are_those_of_the_route_that_matched(void **state)
{
    struct request *req = match_in(two, *state, "GET", "/x/1/two", "/x/{b}/{c}", NULL);
    check_param(req, 0, "1", 1);
    check_param(req, 1, "two", 3);
    talloc_free(req->work.mem);
    req = match_in(two, *state, "PUT", "/a/%62", "/a/{y}", NULL);
    check_param(req, 0, "b", 1);
    talloc_free(req->work.mem);
}

static void no_tables_no_routes(void **state)
{
    static const struct route empty[] = {{0}};
    static const struct route_table none[] = {{NULL}}, one[] = {{empty}, {NULL}};
    talloc_free(match_in(none, *state, "GET", "/a/b", NULL, NULL)->work.mem);
    talloc_free(match_in(one, *state, "GET", "/a/b", NULL, NULL)->work.mem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(every_route_is_found),
        UNIT_TEST(bodies_are_asked_for_where_they_are_needed),
        UNIT_TEST(other_paths_are_not_found),
        UNIT_TEST(other_methods_are_told_which_are_allowed),
        UNIT_TEST(parameters_are_decoded),
        UNIT_TEST(malformed_escapes_are_not_found),
        UNIT_TEST(fixed_segments_may_be_encoded_too),
        UNIT_TEST(long_paths_are_read_to_their_end),
        UNIT_TEST(the_first_of_several_wins),
        UNIT_TEST(parameters_are_those_of_the_route_that_matched),
        UNIT_TEST(no_tables_no_routes),
    };
    return UNIT_RUN(tests);
}
