#include "unit.h"

#include <inttypes.h>
#include <string.h>

#include "base/buf.h"

static void check(const struct buf *b, const char *expected, size_t len)
{
    assert_int_equal(b->len, len);
    assert_memory_equal(b->data, expected, len);
    assert_int_equal(b->data[len], 0);
    assert_true(b->len < b->cap);
}

static void empty_is_a_string(void **state)
{
    struct buf b;
    buf_init(&b, *state, 0);
    check(&b, "", 0);
    assert_ptr_equal(talloc_parent(b.data), *state);
    buf_add(&b, NULL, 0);
    buf_add_str(&b, "");
    buf_printf(&b, "%s", "");
    check(&b, "", 0);
    talloc_free(b.data);
}

static void everything_is_appended(void **state)
{
    struct buf b;
    buf_init(&b, *state, 3);
    buf_add_str(&b, "ab");
    buf_add_char(&b, 'c');
    buf_add(&b, "d\0e", 3);
    buf_add_int(&b, -7);
    buf_printf(&b, "[%s|%03d]", "x", 5);
    check(&b, "abcd\0e-7[x|005]", 15);
    buf_truncate(&b, 2);
    check(&b, "ab", 2);
    buf_truncate(&b, 2);
    buf_add_char(&b, '!');
    check(&b, "ab!", 3);
    talloc_free(b.data);
}

static void integers_are_decimal(void **state)
{
    static const int64_t numbers[] = {
        0,       1,  -1,         9,          10,        -10,           99,        100,
        1000000, -5, 2147483647, 2147483648, INT64_MAX, INT64_MIN + 1, INT64_MIN,
    };
    for (size_t i = 0; i < LENGTH(numbers); i++) {
        char expected[32];
        struct buf b;
        buf_init(&b, *state, 0);
        buf_add_int(&b, numbers[i]);
        int len = snprintf(expected, sizeof expected, "%" PRId64, numbers[i]);
        check(&b, expected, (size_t)len);
        talloc_free(b.data);
    }
}

// All ways to cross the end of the memory, at each distance from it.
static void it_grows_at_any_length(void **state)
{
    static const char text[] = "0123456789abcdefghijklmnopqrstuvwxyz";
    for (size_t cap = 0; cap < 40; cap++) {
        for (size_t add = 0; add < sizeof text; add++) {
            struct buf a, f;
            buf_init(&a, *state, cap);
            buf_init(&f, *state, cap);
            char expected[128] = "";
            size_t len = 0;
            for (int times = 0; times < 3; times++, len += add) {
                buf_add(&a, text, add);
                buf_printf(&f, "%.*s", (int)add, text);
                memcpy(expected + len, text, add);
            }
            check(&a, expected, len);
            check(&f, expected, len);
            talloc_free(a.data);
            talloc_free(f.data);
        }
    }
}

static void a_megabyte_by_bytes(void **state)
{
    struct buf b;
    buf_init(&b, *state, 1);
    for (size_t i = 0; i < 1 << 20; i++)
        buf_add_char(&b, (char)('a' + i % 26));
    assert_int_equal(b.len, 1 << 20);
    for (size_t i = 0; i < b.len; i++)
        assert_int_equal(b.data[i], 'a' + i % 26);
    assert_int_equal(b.data[b.len], 0);
    talloc_free(b.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(empty_is_a_string),    UNIT_TEST(everything_is_appended),
        UNIT_TEST(integers_are_decimal), UNIT_TEST(it_grows_at_any_length),
        UNIT_TEST(a_megabyte_by_bytes),
    };
    return UNIT_RUN(tests);
}
