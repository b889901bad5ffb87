#include "../base/unit.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <string.h>

#include "cart/cart.h"

#define T1 "2024-05-01T10:00:00.000001Z"

// What nginx holds of an answer in memory: fastcgi_buffers in nginx/app.conf.
#define NGINX_BUFFERS ((size_t)32 * 4096)

static void check(void *mem, const struct cart *cart, const char *expected)
{
    struct buf b;
    buf_init(&b, mem, 16);
    cart_put_json(&b, cart);
    assert_string_equal(b.data, expected);
    assert_int_equal(b.len, strlen(expected));
    talloc_free(b.data);
}

static void an_unknown_cart(void **state)
{
    struct cart cart = {.user_id = "user123"};
    check(*state, &cart,
          "{\"user_id\":\"user123\",\"version\":0,\"items\":[],\"item_count\":0,"
          "\"total\":0.00,\"updated_at\":null}");
}

static void an_emptied_cart(void **state)
{
    struct cart cart = {.user_id = "u", .version = INT64_MAX, .updated_at = T1};
    check(*state, &cart,
          "{\"user_id\":\"u\",\"version\":9223372036854775807,\"items\":[],"
          "\"item_count\":0,\"total\":0.00,\"updated_at\":\"" T1 "\"}");
}

static void lines_in_their_order(void **state)
{
    struct cart cart = {.user_id = "user123",
                        .version = 7,
                        .updated_at = T1,
                        .n_lines = 2,
                        .lines = {{2, "Mouse", 1950, 3}, {1, "Laptop", 99999, 2}}};
    check(*state, &cart,
          "{\"user_id\":\"user123\",\"version\":7,\"items\":["
          "{\"product_id\":2,\"name\":\"Mouse\",\"price\":19.50,\"quantity\":3,"
          "\"subtotal\":58.50},"
          "{\"product_id\":1,\"name\":\"Laptop\",\"price\":999.99,\"quantity\":2,"
          "\"subtotal\":1999.98}],"
          "\"item_count\":5,\"total\":2058.48,\"updated_at\":\"" T1 "\"}");
}

static void names_are_escaped(void **state)
{
    struct cart cart = {.user_id = "u", .version = 1, .updated_at = T1, .n_lines = 1};
    cart.lines[0] =
        (struct cart_line){1, "\"\\/<&>\xC3\xA9\xF0\x9F\x98\x80\xE2\x80\xA8\x7F'", 1, 1};
    check(*state, &cart,
          "{\"user_id\":\"u\",\"version\":1,\"items\":[{\"product_id\":1,"
          "\"name\":\"\\\"\\\\/<&>\xC3\xA9\xF0\x9F\x98\x80\xE2\x80\xA8\x7F'\","
          "\"price\":0.01,\"quantity\":1,\"subtotal\":0.01}],"
          "\"item_count\":1,\"total\":0.01,\"updated_at\":\"" T1 "\"}");
}

// Prices that binary fractions miss, times every quantity, against sums in cents.
static void money_is_exact(void **state)
{
    static const int64_t prices[] = {1,   7,    10,   29,      35,       57,       58,
                                     99,  101,  115,  829,     1001,     1999,     99999,
                                     105, 2675, 4503, 1234567, 99999999, 100000000};
    for (size_t i = 0; i < LENGTH(prices); i++)
        for (int quantity = 1; quantity <= 999; quantity++) {
            struct cart cart = {.user_id = "u", .version = 1, .updated_at = T1};
            cart.n_lines = 2;
            cart.lines[0] = (struct cart_line){1, "a", prices[i], quantity};
            cart.lines[1] = (struct cart_line){2, "b", 1, 1};
            char money[4][32];
            const int64_t cents[] = {prices[i], prices[i] * quantity,
                                     prices[i] * quantity + 1};
            for (size_t k = 0; k < LENGTH(cents); k++)
                snprintf(money[k], sizeof money[k], "%" PRId64 ".%02" PRId64,
                         cents[k] / 100, cents[k] % 100);
            char expected[512];
            snprintf(expected, sizeof expected,
                     "{\"user_id\":\"u\",\"version\":1,\"items\":["
                     "{\"product_id\":1,\"name\":\"a\",\"price\":%s,\"quantity\":%d,"
                     "\"subtotal\":%s},"
                     "{\"product_id\":2,\"name\":\"b\",\"price\":0.01,\"quantity\":1,"
                     "\"subtotal\":0.01}],"
                     "\"item_count\":%d,\"total\":%s,\"updated_at\":\"" T1 "\"}",
                     money[0], quantity, money[1], quantity + 1, money[2]);
            check(*state, &cart, expected);
        }
}

// As many lines, units, money and bytes as the limits allow.
static void the_biggest_cart(void **state)
{
    char id[CART_USER_ID_MAX + 1], name[CART_NAME_MAX * 4 + 1];
    memset(id, 'x', CART_USER_ID_MAX);
    id[CART_USER_ID_MAX] = '\0';
    for (size_t i = 0; i < CART_NAME_MAX; i++)
        memcpy(name + 4 * i, "\xF0\x9F\x98\x80", 5);
    struct cart cart = {
        .user_id = id, .version = INT64_MAX, .updated_at = T1, .n_lines = CART_LINES_MAX};
    for (int i = 0; i < CART_LINES_MAX; i++)
        cart.lines[i] =
            (struct cart_line){INT32_MAX - i, name, CART_PRICE_MAX, CART_QUANTITY_MAX};
    struct buf b;
    buf_init(&b, *state, 16);
    cart_put_json(&b, &cart);
    assert_true(b.len < NGINX_BUFFERS);
    static const char end[] =
        "\"price\":1000000.00,\"quantity\":999,\"subtotal\":999000000.00}],"
        "\"item_count\":99900,\"total\":99900000000.00,\"updated_at\":\"" T1 "\"}";
    assert_string_equal(b.data + b.len - strlen(end), end);

    struct json_object *root = json_tokener_parse(b.data), *items, *line, *member;
    assert_non_null(root);
    assert_true(json_object_object_get_ex(root, "items", &items));
    assert_int_equal(json_object_array_length(items), CART_LINES_MAX);
    for (int i = 0; i < CART_LINES_MAX; i++) {
        line = json_object_array_get_idx(items, (size_t)i);
        assert_true(json_object_object_get_ex(line, "product_id", &member));
        assert_int_equal(json_object_get_int64(member), INT32_MAX - i);
        assert_true(json_object_object_get_ex(line, "name", &member));
        assert_string_equal(json_object_get_string(member), name);
    }
    json_object_put(root);
    talloc_free(b.data);
}

static void it_is_appended(void **state)
{
    struct cart cart = {.user_id = "u"};
    struct buf b;
    buf_init(&b, *state, 0);
    buf_add_str(&b, "before ");
    cart_put_json(&b, &cart);
    assert_memory_equal(b.data, "before {\"user_id\":\"u\"", 20);
    talloc_free(b.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(an_unknown_cart),      UNIT_TEST(an_emptied_cart),
        UNIT_TEST(lines_in_their_order), UNIT_TEST(names_are_escaped),
        UNIT_TEST(money_is_exact),       UNIT_TEST(the_biggest_cart),
        UNIT_TEST(it_is_appended),
    };
    return UNIT_RUN(tests);
}
