#include "../base/unit.h"

#include <string.h>

#include "stats/stats.h"

static void check(void *mem, const struct stats_product *products, size_t n,
                  const char *expected)
{
    struct buf b;
    buf_init(&b, mem, 0);
    stats_put_json(&b, products, n);
    assert_string_equal(b.data, expected);
    assert_int_equal(b.len, strlen(expected));
    talloc_free(b.data);
}

static void nothing_is_an_empty_array(void **state)
{
    check(*state, NULL, 0, "[]");
}

static void products_keep_their_order(void **state)
{
    static const struct stats_product products[] = {
        {7, "Laptop", 120, 40}, {1, "Mouse", 120, 3}, {INT32_MAX, "Pen", 1, 1}};
    check(*state, products, 1,
          "[{\"product_id\":7,\"name\":\"Laptop\",\"units\":120,\"carts\":40}]");
    check(*state, products, 3,
          "[{\"product_id\":7,\"name\":\"Laptop\",\"units\":120,\"carts\":40},"
          "{\"product_id\":1,\"name\":\"Mouse\",\"units\":120,\"carts\":3},"
          "{\"product_id\":2147483647,\"name\":\"Pen\",\"units\":1,\"carts\":1}]");
}

static void large_counts_are_whole(void **state)
{
    static const struct stats_product product = {1, "x", INT64_MAX, 1000000000000};
    check(*state, &product, 1,
          "[{\"product_id\":1,\"name\":\"x\",\"units\":9223372036854775807,"
          "\"carts\":1000000000000}]");
}

static void names_are_escaped(void **state)
{
    static const struct stats_product product = {1, "a\"b\\c\xC3\xA9\n", 1, 1};
    check(*state, &product, 1,
          "[{\"product_id\":1,\"name\":\"a\\\"b\\\\c\xC3\xA9\\n\",\"units\":1,"
          "\"carts\":1}]");
}

static void it_is_appended(void **state)
{
    struct buf b;
    buf_init(&b, *state, 0);
    buf_add_str(&b, "x");
    stats_put_json(&b, NULL, 0);
    assert_string_equal(b.data, "x[]");
    talloc_free(b.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(nothing_is_an_empty_array),
        UNIT_TEST(products_keep_their_order),
        UNIT_TEST(large_counts_are_whole),
        UNIT_TEST(names_are_escaped),
        UNIT_TEST(it_is_appended),
    };
    return UNIT_RUN(tests);
}
