#include "unit.h"

#include <string.h>

#include "base/money.h"

static void what_is_read(void **state)
{
    static const struct {
        const char *text;
        int64_t cents;
    } rows[] = {
        {"0", 0},
        {"-0", 0},
        {"0.0", 0},
        {"0.00", 0},
        {"-0.00", 0},
        {"0.01", 1},
        {"0.1", 10},
        {"0.10", 10},
        {"-0.5", -50},
        {"-0.05", -5},
        {"1", 100},
        {"9", 900},
        {"10", 1000},
        {"19.9", 1990},
        {"999", 99900},
        {"999.9", 99990},
        {"999.99", 99999},
        {"-999.99", -99999},
        {"1000000.00", 100000000},
        {"0.29", 29}, // 0.29 * 100 is 28.999... in binary
        {"1.15", 115},
        {"4.35", 435},
        {"90000000000000", MONEY_CENTS_MAX},
        {"90000000000000.00", MONEY_CENTS_MAX},
        {"89999999999999.99", MONEY_CENTS_MAX - 1},
        {"-90000000000000.00", -MONEY_CENTS_MAX},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        int64_t cents = -12345;
        size_t len = strlen(rows[i].text);
        char *text = talloc_memdup(*state, rows[i].text, len); // no NUL behind it
        if (!money_parse(text, len, &cents))
            fail_msg("%s is refused", rows[i].text);
        talloc_free(text);
        if (cents != rows[i].cents)
            fail_msg("%s gives %lld", rows[i].text, (long long)cents);
    }
}

static void what_is_refused(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",
        "-",
        "+1",
        "--1",
        ".",
        ".5",
        "-.5",
        "1.",
        "-1.",
        "1..2",
        "1.2.3",
        "1.-2",
        "00",
        "01",
        "-01",
        "00.5",
        "1.000",
        "1.001",
        "0.005",
        "1e2",
        "1E2",
        "1e0",
        "1.5e1",
        "1,5",
        "1.5 ",
        " 1.5",
        "1.5\n",
        "0x10",
        "1_000",
        "NaN",
        "nan",
        "Infinity",
        "-Infinity",
        "\"1\"",
        "1.5a",
        "1.a",
        "1.5a5",
        "a",
        "1.5-",
        "1.+5",
        "90000000000000.01",
        "90000000000001",
        "-90000000000000.01",
        "9223372036854775807",
        "9223372036854775808",
        "99999999999999999999999999999999999999999",
        "-99999999999999999999999",
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        int64_t cents = -12345;
        if (money_parse(rows[i], strlen(rows[i]), &cents))
            fail_msg("%s gives %lld", rows[i], (long long)cents);
        assert_int_equal(cents, -12345);
    }
}

// The text has no NUL behind it.
static void only_len_bytes_are_read(void **state)
{
    int64_t cents;
    for (size_t len = 1; len <= 5; len++) {
        static const int64_t expected[] = {0, 100, 1200, 0, 1230, 1234};
        char *text = talloc_memdup(*state, "12.34", len);
        bool good = money_parse(text, len, &cents);
        assert_int_equal(good, len != 3);
        if (good)
            assert_int_equal(cents, expected[len]);
        talloc_free(text);
    }
    assert_false(money_parse("1\0002", 3, &cents));
}

static void what_is_written(void **state)
{
    static const struct {
        int64_t cents;
        const char *text;
    } rows[] = {
        {0, "0.00"},
        {1, "0.01"},
        {-1, "-0.01"},
        {10, "0.10"},
        {99, "0.99"},
        {100, "1.00"},
        {-150, "-1.50"},
        {199998, "1999.98"},
        {100000000, "1000000.00"},
        {MONEY_CENTS_MAX, "90000000000000.00"},
        {INT64_MAX, "92233720368547758.07"},
        {INT64_MIN, "-92233720368547758.08"},
    };
    struct buf b;
    buf_init(&b, *state, 0);
    for (size_t i = 0; i < LENGTH(rows); i++) {
        buf_truncate(&b, 0);
        money_put(&b, rows[i].cents);
        assert_string_equal(b.data, rows[i].text);
    }
    talloc_free(b.data);
}

static void what_is_written_is_read_again(void **state)
{
    struct buf b;
    buf_init(&b, *state, 32);
    for (int64_t cents = -MONEY_CENTS_MAX; cents <= MONEY_CENTS_MAX;
         cents += 1 + MONEY_CENTS_MAX / 7919) {
        int64_t again;
        buf_truncate(&b, 0);
        money_put(&b, cents);
        assert_true(money_parse(b.data, b.len, &again));
        assert_int_equal(again, cents);
    }
    talloc_free(b.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(what_is_read),
        UNIT_TEST(what_is_refused),
        UNIT_TEST(only_len_bytes_are_read),
        UNIT_TEST(what_is_written),
        UNIT_TEST(what_is_written_is_read_again),
    };
    return UNIT_RUN(tests);
}
