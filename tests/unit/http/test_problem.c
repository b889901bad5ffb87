#include "http_unit.h"

#include <json-c/json.h>

#include "http/problem.h"

#define CRLF "\r\n"

static void check_reply(const struct request *req, int status, const char *body)
{
    assert_int_equal(req->reply.status, status);
    assert_string_equal(req->reply.type, "application/problem+json");
    assert_string_equal(req->reply.body, body);
    assert_int_equal(req->reply.len, strlen(body));
}

static void check(void *mem, struct err err, int status, const char *headers,
                  const char *body)
{
    struct request *req = http_unit_request(mem, "GET", "/");
    problem_reply(req, err);
    check_reply(req, status, body);
    assert_string_equal(req->reply.headers.data, headers);
    talloc_free(req->work.mem);
}

static void an_error_is_a_problem(void **state)
{
    check(*state, err_make(ERR_NOT_FOUND, NULL, "there is nothing at this path"), 404, "",
          "{\"type\":\"about:blank\",\"title\":\"Not Found\",\"status\":404,"
          "\"code\":\"not-found\",\"detail\":\"there is nothing at this path\"}");
}

static void without_a_detail_there_is_none(void **state)
{
    check(*state, err_make(ERR_INTERNAL, NULL, NULL), 500, "",
          "{\"type\":\"about:blank\",\"title\":\"Internal Server Error\",\"status\":500,"
          "\"code\":\"internal\"}");
}

static void a_header_at_fault_is_no_field(void **state)
{
    check(*state, err_make(ERR_INVALID_IF_MATCH, "If-Match", "a list of \"tags\""), 400,
          "",
          "{\"type\":\"about:blank\",\"title\":\"Bad Request\",\"status\":400,"
          "\"code\":\"invalid-if-match\",\"detail\":\"a list of \\\"tags\\\"\"}");
    // Nor is a constraint's name, which is for the log.
    check(*state, err_make(ERR_INTERNAL, "cart_item_price_check", "refused"), 500, "",
          "{\"type\":\"about:blank\",\"title\":\"Internal Server Error\",\"status\":500,"
          "\"code\":\"internal\",\"detail\":\"refused\"}");
}

static void a_field_at_fault_is_listed(void **state)
{
    check(*state, err_make(ERR_INVALID_PRICE, "/price", "a number"), 422, "",
          "{\"type\":\"about:blank\",\"title\":\"Unprocessable Content\",\"status\":422,"
          "\"code\":\"invalid-price\",\"detail\":\"price: a number\","
          "\"errors\":[{\"pointer\":\"/price\",\"detail\":\"a number\"}]}");
    check(*state, err_make(ERR_INVALID_PRICE, "/price", NULL), 422, "",
          "{\"type\":\"about:blank\",\"title\":\"Unprocessable Content\",\"status\":422,"
          "\"code\":\"invalid-price\","
          "\"errors\":[{\"pointer\":\"/price\",\"detail\":\"\"}]}");
}

static void all_fields_at_fault_are_listed_in_order(void **state)
{
    struct err third = err_make(ERR_UNKNOWN_FIELD, "/a~1\"b", "no such field");
    struct err second = err_make(ERR_MISSING_FIELD, "/name", "missing");
    struct err first = err_make(ERR_INVALID_QUANTITY, "/quantity", "1 to 999");
    second.next = &third;
    first.next = &second;
    check(*state, first, 422, "",
          "{\"type\":\"about:blank\",\"title\":\"Unprocessable Content\",\"status\":422,"
          "\"code\":\"invalid-quantity\",\"detail\":\"quantity: 1 to 999\",\"errors\":["
          "{\"pointer\":\"/quantity\",\"detail\":\"1 to 999\"},"
          "{\"pointer\":\"/name\",\"detail\":\"missing\"},"
          "{\"pointer\":\"/a~1\\\"b\",\"detail\":\"no such field\"}]}");
}

static void text_is_escaped(void **state)
{
    check(*state, err_make(ERR_UNKNOWN_FIELD, "/\xFFx\n", "\x01\\"), 422, "",
          "{\"type\":\"about:blank\",\"title\":\"Unprocessable Content\",\"status\":422,"
          "\"code\":\"unknown-field\",\"detail\":\"\uFFFDx\\n: \\u0001\\\\\","
          "\"errors\":[{\"pointer\":\"/\uFFFDx\\n\",\"detail\":\"\\u0001\\\\\"}]}");
}

static void the_cart_and_the_headers_stay(void **state)
{
    struct request *req = http_unit_request(*state, "POST", "/cart/u/add");
    reply_etag(req, 7);
    reply_set(req, 200, "text/plain", "a reply begun", 13);
    req->problem_cart = "{\"user_id\":\"u\",\"version\":7}";
    problem_reply(req, err_make(ERR_VERSION_MISMATCH, "If-Match", "another version"));
    check_reply(req, 412,
                "{\"type\":\"about:blank\",\"title\":\"Precondition Failed\","
                "\"status\":412,\"code\":\"version-mismatch\","
                "\"detail\":\"another version\","
                "\"cart\":{\"user_id\":\"u\",\"version\":7}}");
    assert_string_equal(req->reply.headers.data, "ETag: \"7\"" CRLF);
    talloc_free(req->work.mem);
}

static void only_some_errors_can_be_tried_again(void **state)
{
    check(*state, err_make(ERR_OVERLOADED, NULL, NULL), 503, "Retry-After: 1" CRLF,
          "{\"type\":\"about:blank\",\"title\":\"Service Unavailable\",\"status\":503,"
          "\"code\":\"overloaded\"}");
    check(*state, err_make(ERR_DATABASE_UNAVAILABLE, NULL, NULL), 503,
          "Retry-After: 1" CRLF,
          "{\"type\":\"about:blank\",\"title\":\"Service Unavailable\",\"status\":503,"
          "\"code\":\"database-unavailable\"}");
    check(*state, err_make(ERR_OUTCOME_UNKNOWN, NULL, "read the cart"), 503, "",
          "{\"type\":\"about:blank\",\"title\":\"Service Unavailable\",\"status\":503,"
          "\"code\":\"outcome-unknown\",\"detail\":\"read the cart\"}");
}

static void what_is_between_the_layers_is_not_told(void **state)
{
    static const enum err_code codes[] = {ERR_TIMEOUT, ERR_REDIS, ERR_CONFLICT};
    for (size_t i = 0; i < LENGTH(codes); i++)
        check(*state, err_make(codes[i], NULL, "why"), 503, "Retry-After: 1" CRLF,
              "{\"type\":\"about:blank\",\"title\":\"Service Unavailable\","
              "\"status\":503,\"code\":\"overloaded\",\"detail\":\"why\"}");
}

// Every code of the table: a document that json-c reads, with the row's own columns.
static void every_code_has_its_document(void **state)
{
    for (enum err_code code = ERR_NONE + 1; code < ERR__MAX; code++) {
        bool between = code == ERR_TIMEOUT || code == ERR_REDIS || code == ERR_CONFLICT;
        enum err_code told = between ? ERR_OVERLOADED : code;
        struct request *req = http_unit_request(*state, "GET", "/");
        problem_reply(req, err_make(code, NULL, "d"));
        assert_int_equal(req->reply.status, err_status(told));
        bool again = err_status(told) == 503 && told != ERR_OUTCOME_UNKNOWN;
        assert_string_equal(req->reply.headers.data, again ? "Retry-After: 1" CRLF : "");

        struct json_object *root = json_tokener_parse(req->reply.body), *member;
        assert_non_null(root);
        assert_int_equal(json_object_object_length(root), 5);
        assert_true(json_object_object_get_ex(root, "type", &member));
        assert_string_equal(json_object_get_string(member), "about:blank");
        assert_true(json_object_object_get_ex(root, "title", &member));
        assert_string_equal(json_object_get_string(member), err_title(told));
        assert_true(json_object_object_get_ex(root, "status", &member));
        assert_int_equal(json_object_get_int(member), err_status(told));
        assert_true(json_object_object_get_ex(root, "code", &member));
        assert_string_equal(json_object_get_string(member), err_slug(told));
        assert_true(json_object_object_get_ex(root, "detail", &member));
        json_object_put(root);
        talloc_free(req->work.mem);
    }
}

static void replies_are_put_together(void **state)
{
    struct request *req = http_unit_request(*state, "GET", "/");
    reply_etag(req, 0);
    reply_etag(req, INT64_MAX);
    reply_header(req, "Cache-Control", "private, no-cache");
    reply_header(req, "X-Empty", "");
    assert_string_equal(req->reply.headers.data,
                        "ETag: \"0\"" CRLF "ETag: \"9223372036854775807\"" CRLF
                        "Cache-Control: private, no-cache" CRLF "X-Empty: " CRLF);
    reply_set(req, 201, "application/json", "{}", 2);
    reply_set(req, 304, NULL, NULL, 0); // the whole reply
    assert_int_equal(req->reply.status, 304);
    assert_null(req->reply.type);
    assert_null(req->reply.body);
    assert_int_equal(req->reply.len, 0);
    talloc_free(req->work.mem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(an_error_is_a_problem),
        UNIT_TEST(without_a_detail_there_is_none),
        UNIT_TEST(a_header_at_fault_is_no_field),
        UNIT_TEST(a_field_at_fault_is_listed),
        UNIT_TEST(all_fields_at_fault_are_listed_in_order),
        UNIT_TEST(text_is_escaped),
        UNIT_TEST(the_cart_and_the_headers_stay),
        UNIT_TEST(only_some_errors_can_be_tried_again),
        UNIT_TEST(what_is_between_the_layers_is_not_told),
        UNIT_TEST(every_code_has_its_document),
        UNIT_TEST(replies_are_put_together),
    };
    return UNIT_RUN(tests);
}
