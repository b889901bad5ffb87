#include "http_unit.h"

#include <stdbool.h>
#include <stdlib.h>

#include "http/body.h"

// The fields of an add, as in cart_http.c.
enum { PRODUCT_ID, NAME, PRICE, QUANTITY, FIELDS };

static const struct body_field fields[FIELDS] = {
    {"product_id", BODY_INTEGER, false, 1, INT32_MAX, ERR_INVALID_PRODUCT, "an id"},
    {"name", BODY_STRING, false, 1, 200, ERR_INVALID_NAME, "a name"},
    {"price", BODY_MONEY, false, 1, 100000000, ERR_INVALID_PRICE, "a price"},
    {"quantity", BODY_INTEGER, true, 1, 999, ERR_INVALID_QUANTITY, "1 to 999"},
};

static const struct body_field whole[] = {
    {"n", BODY_INTEGER, false, 0, 999, ERR_INVALID_QUANTITY, "0 to 999"}};
static const struct body_field far[] = {
    {"n", BODY_INTEGER, false, -5, INT64_MAX - 1, ERR_INVALID_QUANTITY, "wide"}};
static const struct body_field money[] = {
    {"n", BODY_MONEY, false, 1, 100000000, ERR_INVALID_PRICE, "0.01 to 1000000.00"}};
static const struct body_field text[] = {
    {"n", BODY_STRING, false, 1, 200, ERR_INVALID_NAME, "1 to 200"}};

// Reads from memory without a NUL behind it. The caller frees mem, and all else with it.
static struct err parse(void *mem, const char *body, const struct body_field *table,
                        size_t n, struct body_value *values)
{
    size_t len = strlen(body);
    char *copy = malloc(len + !len);
    assert_non_null(copy);
    memcpy(copy, body, len);
    struct err err = body_parse(mem, copy, len, table, n, values);
    free(copy);
    return err;
}

static void a_good_body_is_read(void **state)
{
    struct body_value v[FIELDS];
    struct err err = parse(*state,
                           " {\"price\": 999.99, \"quantity\": 2,\n"
                           "\"name\": \"Laptop\", \"product_id\": 1}\r\n",
                           fields, FIELDS, v);
    assert_int_equal(err.code, ERR_NONE);
    for (size_t i = 0; i < FIELDS; i++)
        assert_true(v[i].present);
    assert_int_equal(v[PRODUCT_ID].number, 1);
    assert_string_equal(v[NAME].text, "Laptop");
    assert_int_equal(v[PRICE].number, 99999);
    assert_int_equal(v[QUANTITY].number, 2);
    talloc_free_children(*state);
}

static void an_optional_field_may_be_absent(void **state)
{
    struct body_value v[FIELDS];
    memset(v, 0x55, sizeof v);
    struct err err =
        parse(*state, "{\"product_id\":7,\"name\":\"x\",\"price\":1}", fields, FIELDS, v);
    assert_int_equal(err.code, ERR_NONE);
    assert_false(v[QUANTITY].present);
    assert_true(v[PRICE].present);
    assert_int_equal(v[PRICE].number, 100);
    // But not null: that is a value, of the wrong type.
    err = parse(*state, "{\"product_id\":7,\"name\":\"x\",\"price\":1,\"quantity\":null}",
                fields, FIELDS, v);
    assert_int_equal(err.code, ERR_INVALID_QUANTITY);
    talloc_free_children(*state);
}

// One value in the only field; a number to expect, or REFUSED.
#define REFUSED INT64_MIN

struct row {
    const char *json;
    int64_t expected;
};

static void check_numbers(void *mem, const struct body_field *field,
                          const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char body[128];
        struct body_value v = {.number = 4711};
        snprintf(body, sizeof body, "{\"n\":%s}", rows[i].json);
        struct err err = parse(mem, body, field, 1, &v);
        if (rows[i].expected == REFUSED) {
            if (err.code != field->code)
                fail_msg("%s gave %s", rows[i].json, err_slug(err.code));
            assert_string_equal(err.field, "/n");
            assert_string_equal(err.detail, field->detail);
            assert_null(err.next);
            assert_int_equal(v.number, 4711);
        } else if (err_is(err) || v.number != rows[i].expected || !v.present) {
            fail_msg("%s gave %s, %lld", rows[i].json, err_slug(err.code),
                     (long long)v.number);
        }
        talloc_free_children(mem);
    }
}

static void integers_have_no_fraction_and_a_range(void **state)
{
    static const struct row rows[] = {
        {"0", 0},
        {"-0", 0},
        {"1", 1},
        {"998", 998},
        {"999", 999},
        {"1000", REFUSED},
        {"-1", REFUSED},
        {"1.0", REFUSED},
        {"1.5", REFUSED},
        {"0.0", REFUSED},
        {"1e0", REFUSED},
        {"1E2", REFUSED},
        {"1e-1", REFUSED},
        {"2147483648", REFUSED},
        {"4294967297", REFUSED},
        {"9223372036854775807", REFUSED},
        {"9223372036854775808", REFUSED},
        {"18446744073709551615", REFUSED},
        {"18446744073709551617", REFUSED},
        {"100000000000000000000000000000000000001", REFUSED},
        {"-9223372036854775808", REFUSED},
        {"-100000000000000000000000000000000000001", REFUSED},
        {"1e400", REFUSED},
        {"\"1\"", REFUSED},
        {"\"\"", REFUSED},
        {"true", REFUSED},
        {"false", REFUSED},
        {"null", REFUSED},
        {"[]", REFUSED},
        {"[1]", REFUSED},
        {"{}", REFUSED},
        {"{\"n\":1}", REFUSED},
    };
    check_numbers(*state, whole, rows, LENGTH(rows));
    static const struct row wide[] = {
        {"-5", -5},
        {"-6", REFUSED},
        {"9223372036854775806", INT64_MAX - 1},
        {"9223372036854775807", REFUSED},
        {"9223372036854775808", REFUSED},
        {"18446744073709551616", REFUSED},
    };
    check_numbers(*state, far, wide, LENGTH(wide));
}

static void money_has_two_decimals_at_most(void **state)
{
    static const struct row rows[] = {
        {"0.01", 1},
        {"0.1", 10},
        {"0.10", 10},
        {"1", 100},
        {"1.0", 100},
        {"1.10", 110},
        {"999.99", 99999},
        {"8.29", 829}, // 828.9999… in binary
        {"1.15", 115},
        {"999999.99", 99999999},
        {"1000000", 100000000},
        {"1000000.0", 100000000},
        {"1000000.00", 100000000},
        {"1000000.01", REFUSED},
        {"1000001", REFUSED},
        {"0", REFUSED},
        {"-0", REFUSED},
        {"0.0", REFUSED},
        {"0.00", REFUSED},
        {"0.001", REFUSED},
        {"0.009", REFUSED},
        {"0.010", REFUSED},
        {"1.000", REFUSED},
        {"9.999", REFUSED},
        {"-0.01", REFUSED},
        {"-1", REFUSED},
        {"1e2", REFUSED},
        {"1.5e1", REFUSED},
        {"1E0", REFUSED},
        {"100e-2", REFUSED},
        {"1e400", REFUSED},
        {"99999999999999999999999999", REFUSED},
        {"99999999999999999999999999.99", REFUSED},
        {"184467440737095516.16", REFUSED},
        {"184467440737095516.17", REFUSED},
        {"\"1.00\"", REFUSED},
        {"true", REFUSED},
        {"null", REFUSED},
        {"[1]", REFUSED},
        {"{}", REFUSED},
    };
    check_numbers(*state, money, rows, LENGTH(rows));
}

// Strings: n times the same character, as it stands in JSON.
static enum err_code read_repeated(void *mem, const char *c, size_t n, const char **out)
{
    struct buf body;
    buf_init(&body, mem, 64);
    buf_add_str(&body, "{\"n\":\"");
    for (size_t i = 0; i < n; i++)
        buf_add_str(&body, c);
    buf_add_str(&body, "\"}");
    struct body_value v = {.text = "untouched"};
    struct err err = parse(mem, body.data, text, 1, &v);
    *out = v.text;
    return err.code;
}

static void names_are_counted_in_code_points(void **state)
{
    static const struct {
        const char *json, *utf8;
    } rows[] = {
        {"x", "x"},
        {" ", " "},
        {"\xC3\xA9", "\xC3\xA9"},
        {"\\u00e9", "\xC3\xA9"},
        {"\xE2\x82\xAC", "\xE2\x82\xAC"},
        {"\xF0\x9F\x98\x80", "\xF0\x9F\x98\x80"},
        {"\\uD83D\\uDE00", "\xF0\x9F\x98\x80"},
        {"\\\"", "\""},
        {"\\\\", "\\"},
        {"\\/", "/"},
        {"\\u00a0", "\xC2\xA0"},
        {"\\u2028", "\xE2\x80\xA8"},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        static const size_t good[] = {1, 2, 199, 200}, bad[] = {0, 201, 400};
        const char *out;
        for (size_t k = 0; k < LENGTH(good); k++) {
            assert_int_equal(read_repeated(*state, rows[i].json, good[k], &out),
                             ERR_NONE);
            size_t one = strlen(rows[i].utf8);
            assert_int_equal(strlen(out), one * good[k]);
            for (size_t at = 0; at < one * good[k]; at += one)
                assert_memory_equal(out + at, rows[i].utf8, one);
        }
        for (size_t k = 0; k < LENGTH(bad); k++) {
            assert_int_equal(read_repeated(*state, rows[i].json, bad[k], &out),
                             ERR_INVALID_NAME);
            assert_string_equal(out, "untouched");
        }
        talloc_free_children(*state);
    }
}

static void names_hold_no_control_characters(void **state)
{
    const char *out;
    for (unsigned c = 1; c < 0x100; c++) {
        char escape[8];
        snprintf(escape, sizeof escape, "\\u%04x", c);
        bool control = c < 0x20 || (c >= 0x7F && c < 0xA0);
        assert_int_equal(read_repeated(*state, escape, 3, &out),
                         control ? ERR_INVALID_NAME : ERR_NONE);
    }
    assert_int_equal(read_repeated(*state, "\x7F", 1, &out), ERR_INVALID_NAME);
    assert_int_equal(read_repeated(*state, "\xC2\x80", 1, &out), ERR_INVALID_NAME);
    assert_int_equal(read_repeated(*state, "a\\nb", 1, &out), ERR_INVALID_NAME);
    // These are not JSON at all.
    assert_int_equal(read_repeated(*state, "\\u0000", 1, &out), ERR_INVALID_JSON);
    assert_int_equal(read_repeated(*state, "\\ud800", 1, &out), ERR_INVALID_JSON);
    assert_int_equal(read_repeated(*state, "\n", 1, &out), ERR_INVALID_JSON);
    assert_int_equal(read_repeated(*state, "\xC3", 1, &out), ERR_INVALID_UTF8);
    talloc_free_children(*state);
}

static void a_name_is_a_string(void **state)
{
    static const char *const bodies[] = {"{\"n\":1}", "{\"n\":null}", "{\"n\":true}",
                                         "{\"n\":[\"x\"]}", "{\"n\":{\"n\":\"x\"}}"};
    for (size_t i = 0; i < LENGTH(bodies); i++) {
        struct body_value v;
        assert_int_equal(parse(*state, bodies[i], text, 1, &v).code, ERR_INVALID_NAME);
    }
    talloc_free_children(*state);
}

static void other_bodies_are_no_objects_or_no_json(void **state)
{
    static const struct {
        const char *body;
        enum err_code code;
    } rows[] = {
        {"[]", ERR_BODY_NOT_OBJECT},
        {"[{\"n\":1}]", ERR_BODY_NOT_OBJECT},
        {"null", ERR_BODY_NOT_OBJECT},
        {"true", ERR_BODY_NOT_OBJECT},
        {"1", ERR_BODY_NOT_OBJECT},
        {"1.5", ERR_BODY_NOT_OBJECT},
        {"\"n\"", ERR_BODY_NOT_OBJECT},
        {"", ERR_INVALID_JSON},
        {" ", ERR_INVALID_JSON},
        {"{", ERR_INVALID_JSON},
        {"{}{}", ERR_INVALID_JSON},
        {"{\"n\":1,}", ERR_INVALID_JSON},
        {"{'n':1}", ERR_INVALID_JSON},
        {"{n:1}", ERR_INVALID_JSON},
        {"{\"n\":NaN}", ERR_INVALID_JSON},
        {"{\"n\":Infinity}", ERR_INVALID_JSON},
        {"{\"n\":01}", ERR_INVALID_JSON},
        {"{\"n\":+1}", ERR_INVALID_JSON},
        {"{\"n\":.5}", ERR_INVALID_JSON},
        {"{\"n\":1.}", ERR_INVALID_JSON},
        {"{\"n\":0x1}", ERR_INVALID_JSON},
        {"{\"n\":1}//", ERR_INVALID_JSON},
        {"n=1", ERR_INVALID_JSON},
        {"\xEF\xBB\xBF{\"n\":1}", ERR_INVALID_JSON},
        {"{\"n\":1,\"n\":1}", ERR_DUPLICATE_KEY},
        {"{\"n\":1,\"\\u006e\":2}", ERR_DUPLICATE_KEY},
        {"{\"n\":1,\"x\":{\"a\":1,\"a\":2}}", ERR_DUPLICATE_KEY},
        {"{\"n\":[[[[[[[[]]]]]]]]}", ERR_NESTING_TOO_DEEP},
        {"{\"n\":\"\xFF\"}", ERR_INVALID_UTF8},
        {"{\"\xC0\x80\":1}", ERR_INVALID_UTF8},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct body_value v = {.number = 4711};
        struct err err = parse(*state, rows[i].body, whole, 1, &v);
        if (err.code != rows[i].code)
            fail_msg("%s gave %s", rows[i].body, err_slug(err.code));
        assert_null(err.field);
        assert_non_null(err.detail);
        assert_int_equal(v.number, 4711);
        talloc_free_children(*state);
    }
}

// All faults of one body

struct fault {
    enum err_code code;
    const char *pointer, *detail;
};

static void check_faults(void *mem, const char *body, const struct fault *expected,
                         size_t n)
{
    struct body_value v[FIELDS], before[FIELDS];
    memset(v, 0x55, sizeof v);
    memcpy(before, v, sizeof v);
    struct err err = parse(mem, body, fields, FIELDS, v);
    const struct err *e = &err;
    for (size_t i = 0; i < n; i++, e = e->next) {
        assert_non_null(e);
        assert_int_equal(e->code, expected[i].code);
        assert_string_equal(e->field, expected[i].pointer);
        assert_string_equal(e->detail, expected[i].detail);
    }
    assert_null(e);
    assert_memory_equal(v, before, sizeof v);
    talloc_free_children(mem);
}

#define MISSING(pointer)                                   \
    {                                                      \
        ERR_MISSING_FIELD, pointer, "the field is missing" \
    }
#define UNKNOWN(pointer)                                     \
    {                                                        \
        ERR_UNKNOWN_FIELD, pointer, "there is no such field" \
    }

static void all_faults_are_told_in_order(void **state)
{
    // The table's fields in its order, then what is not in it in the body's order.
    static const struct fault all[] = {{ERR_INVALID_PRODUCT, "/product_id", "an id"},
                                       {ERR_INVALID_NAME, "/name", "a name"},
                                       {ERR_INVALID_PRICE, "/price", "a price"},
                                       {ERR_INVALID_QUANTITY, "/quantity", "1 to 999"},
                                       UNKNOWN("/zoo"),
                                       UNKNOWN("/alpha")};
    check_faults(*state,
                 "{\"zoo\":1,\"quantity\":0,\"price\":0,\"name\":\"\",\"product_id\":0,"
                 "\"alpha\":2}",
                 all, LENGTH(all));
    static const struct fault empty[] = {MISSING("/product_id"), MISSING("/name"),
                                         MISSING("/price")};
    check_faults(*state, "{}", empty, LENGTH(empty));
    static const struct fault mixed[] = {
        {ERR_INVALID_NAME, "/name", "a name"}, MISSING("/price"), UNKNOWN("/Quantity")};
    check_faults(*state, "{\"product_id\":1,\"name\":7,\"Quantity\":1}", mixed,
                 LENGTH(mixed));
    // One fault spoils the good values too.
    static const struct fault one[] = {UNKNOWN("/x")};
    check_faults(*state, "{\"product_id\":1,\"name\":\"n\",\"price\":1,\"x\":null}", one,
                 1);
}

static void pointers_are_escaped(void **state)
{
    static const struct {
        const char *key, *pointer;
    } rows[] = {
        {"a/b", "/a~1b"},          {"a~b", "/a~0b"},         {"~1", "/~01"},
        {"~0/~1", "/~00~1~01"},    {"//", "/~1~1"},          {"", "/"},
        {"\xC3\xA9", "/\xC3\xA9"}, {"\\u00e9", "/\xC3\xA9"}, {"\\u002f", "/~1"},
        {"a\\\"b", "/a\"b"},       {"a b", "/a b"},          {"n ", "/n "},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        char body[64];
        struct body_value v;
        snprintf(body, sizeof body, "{\"n\":1,\"%s\":2}", rows[i].key);
        struct err err = parse(*state, body, whole, 1, &v);
        assert_int_equal(err.code, ERR_UNKNOWN_FIELD);
        assert_string_equal(err.field, rows[i].pointer);
        assert_null(err.next);
        talloc_free_children(*state);
    }
}

static void no_more_than_twenty_faults_are_told(void **state)
{
    struct buf body;
    struct body_value v;
    buf_init(&body, *state, 1024);
    buf_add_str(&body, "{\"n\":1");
    for (int i = 0; i < 1000; i++)
        buf_printf(&body, ",\"x%d\":1", i);
    buf_add_char(&body, '}');
    struct err err = parse(*state, body.data, whole, 1, &v);
    int n = 0;
    for (const struct err *e = &err; e; e = e->next, n++) {
        char pointer[16];
        snprintf(pointer, sizeof pointer, "/x%d", n);
        assert_int_equal(e->code, ERR_UNKNOWN_FIELD);
        assert_string_equal(e->field, pointer);
    }
    assert_int_equal(n, 20);
    talloc_free_children(*state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(a_good_body_is_read),
        UNIT_TEST(an_optional_field_may_be_absent),
        UNIT_TEST(integers_have_no_fraction_and_a_range),
        UNIT_TEST(money_has_two_decimals_at_most),
        UNIT_TEST(names_are_counted_in_code_points),
        UNIT_TEST(names_hold_no_control_characters),
        UNIT_TEST(a_name_is_a_string),
        UNIT_TEST(other_bodies_are_no_objects_or_no_json),
        UNIT_TEST(all_faults_are_told_in_order),
        UNIT_TEST(pointers_are_escaped),
        UNIT_TEST(no_more_than_twenty_faults_are_told),
    };
    return UNIT_RUN(tests);
}
