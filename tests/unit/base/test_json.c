#include "unit.h"

#include <json-c/json.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"

// What json_check says of the bytes, read from memory without a NUL behind them. Nothing
// but the detail may be left.
static enum err_code check(void *mem, const char *text, size_t len, int depth)
{
    char *copy = malloc(len + !len);
    assert_non_null(copy);
    memcpy(copy, text, len);
    struct err e = json_check(mem, copy, len, depth);
    free(copy);
    if (!err_is(e)) {
        assert_null(e.detail);
    } else {
        assert_non_null(e.detail);
        talloc_free((void *)e.detail);
    }
    return e.code;
}

static void what_is_accepted(void **state)
{
    static const char *const texts[] = {
        "null",
        "true",
        "false",
        "0",
        "-0",
        "1",
        "-1",
        "42",
        "1.5",
        "-0.0",
        "0.1",
        "1e5",
        "1E5",
        "1e+5",
        "1e-5",
        "0e0",
        "1.25e10",
        "123456789012345678901234567890",
        "1e400",
        "\"\"",
        "\"a\"",
        "\" \"",
        "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
        "\"\\u0001\"",
        "\"\\u00e9\\u20AC\"",
        "\"\\uD83D\\uDE00\"",
        "\"\\uD800\\uDC00\\uDBFF\\uDFFF\"",
        "\"\\uFFFF\"",
        "\"\\\\u0000\"",
        "\"\x7F\"",
        "\"\xC2\x80\"",
        "\"\xC3\xA9\"",
        "\"\xE2\x80\xA8\"",
        "\"\xF0\x9F\x98\x80\"",
        "\"\xEF\xBF\xBF\"",
        "\"\xF4\x8F\xBF\xBF\"",
        "[]",
        "[ ]",
        "[1]",
        "[1,2]",
        "[ 1 , 2 ]",
        "[[]]",
        "[[],[]]",
        "[null,true,false,0,\"\",[],{}]",
        "{}",
        "{ }",
        "{\"a\":1}",
        "{ \"a\" : 1 }",
        "{\"\":0}",
        "{\"a\":1,\"b\":2}",
        "{\"a\":{\"a\":{\"a\":1}}}",
        "{\"a\":{\"b\":1},\"b\":{\"a\":1}}",
        "[{\"a\":1},{\"a\":1}]",
        "{\"a\":1,\"A\":2}",
        "{\"a\":1,\"a \":2}",
        "{\"a\":1,\"aa\":2}",
        "{\"\xC3\xA9\":1,\"e\xCC\x81\":2}",
        "{\"a\":\"a\"}",
        "{\"\\n\":1,\"n\":2}",
        "{\"a\\nb\":1,\"a\\tb\":2}",
        " 1 ",
        "\t\n\r [] \t\n\r",
        "{\"product_id\": 1, \"name\": \"Laptop\", \"price\": 999.99, \"quantity\": 2}",
    };
    for (size_t i = 0; i < LENGTH(texts); i++) {
        if (check(*state, texts[i], strlen(texts[i]), 8) != ERR_NONE)
            fail_msg("refused: %s", texts[i]);
    }
}

static void what_is_refused(void **state)
{
    static const struct {
        enum err_code code;
        const char *texts[100];
    } rows[] = {
        {ERR_INVALID_JSON,
         {// Nothing, or something else
          "", " ", "\n", "nul", "nulll", "Null", "TRUE", "tru", "truefalse", "true false",
          "undefined", "NaN", "nan", "Infinity", "-Infinity", "a", "'a'", "abc", "\f1",
          "\xC2\xA0[]", "\xEF\xBB\xBF[]", "\xE2\x82\xAC", "\x01", "// x\n1", "1 // x",
          "/**/1", "#1", "*", "<a>", "1 2", "1,2", "1,", ",1", "[] []", "{}{}",
          // Numbers
          "+1", "-", "--1", "-a", "01", "-01", "00", "0 1", ".5", "-.5", "1.", "1.e1",
          "1.a", "1e", "1e+", "1E-", "1e1.5", "1e5e5", "0x10", "1_000", "1a", "1 000",
          "0.1.2", "-+1", "1-2", "1+1"}},
        {ERR_INVALID_JSON,
         {// Strings
          "\"",
          "\"a",
          "a\"",
          "\"a\"b",
          "\"\\\"",
          "\"\\",
          "\"\\x41\"",
          "\"\\a\"",
          "\"\\'\"",
          "\"\\0\"",
          "\"\\ \"",
          "\"\\N\"",
          "\"\\U0041\"",
          "\"\\u\"",
          "\"\\u1\"",
          "\"\\u12\"",
          "\"\\u123\"",
          "\"\\u123g\"",
          "\"\\u 123\"",
          "\"\\u+123\"",
          "\"\\u-123\"",
          "\"\\u0000\"",
          "\"a\\u0000b\"",
          "\"\\uD800\"",
          "\"\\uDBFF\"",
          "\"\\uDC00\"",
          "\"\\uDFFF\"",
          "\"\\uD800\\uD800\"",
          "\"\\uD800\\u0041\"",
          "\"\\uD800a\"",
          "\"\\uD800\\n\"",
          "\"\\uDC00\\uD800\"",
          "\"\\uDC00\\uDC00\"",
          "\"\\uDFFF\\uDC00\"",
          "\"\\uD800\\nDC00\"",
          "\"\\uD800xuDC00\"",
          "\"\\uD800\\uE000\"",
          "\"\\uD800\\uDBFF\"",
          "\"\\uD83D\\uDE0\"",
          "\"\\uD83D\\",
          "\"\\uD83D\\u",
          "\"\t\"",
          "\"\n\"",
          "\"\r\"",
          "\"\x01\"",
          "\"\x1F\"",
          "\"\\\xC3\xA9\"",
          "'a'",
          "`a`"}},
        {ERR_INVALID_JSON,
         {// Arrays and objects
          "[",
          "]",
          "[1",
          "[1,",
          "[,",
          "[,1]",
          "[1,]",
          "[1,,2]",
          "[1 2]",
          "[1:2]",
          "[1}",
          "[(1)]",
          "[-]",
          "[a]",
          "[1]]",
          "[[1]",
          "[\"a",
          "[\"a\" \"b\"]",
          "{",
          "}",
          "{\"",
          "{\"a",
          "{\"a\"",
          "{\"a\"}",
          "{\"a\":",
          "{\"a\":}",
          "{\"a\":1",
          "{\"a\":1,",
          "{\"a\":1,}",
          "{,}",
          "{,\"a\":1}",
          "{\"a\":1,,\"b\":2}",
          "{\"a\":1 \"b\":2}",
          "{\"a\" 1}",
          "{\"a\",1}",
          "{\"a\"::1}",
          "{\"a\":1:2}",
          "{\"a\":1]",
          "{a:1}",
          "{'a':1}",
          "{1:1}",
          "{null:1}",
          "{[]:1}",
          "{\"a\":1}}",
          "{{}}",
          "{\"a\\u0000\":1}",
          "{\"a\":1/*x*/}",
          "{\"a\":+1}",
          "{\"a\":0x1}",
          "{\"a\":\"\n\"}"}},
        {ERR_INVALID_UTF8,
         {"\"\x80\"",
          "\"\xBF\"",
          "\"\xC3\"",
          "\"\xC3",
          "\"\xC0\xAF\"",
          "\"\xC1\xBF\"",
          "\"\xE0\x80\xAF\"",
          "\"\xE0\x9F\xBF\"",
          "\"\xE2\x82\"",
          "\"\xE2\x82",
          "\"\xED\xA0\x80\"",
          "\"\xED\xBF\xBF\"",
          "\"\xED\xA0\xBD\xED\xB8\x80\"",
          "\"\xF0\x80\x80\x80\"",
          "\"\xF0\x8F\xBF\xBF\"",
          "\"\xF4\x90\x80\x80\"",
          "\"\xF5\x80\x80\x80\"",
          "\"\xF8\x88\x80\x80\x80\"",
          "\"\xFE\"",
          "\"\xFF\"",
          "\"\xE9t\xE9\"",
          "{\"\xFF\":1}",
          "[\"\xFF\"]",
          "\xFF\xFE",
          "\xFF",
          "1\xFF",
          "[\xE9]",
          "{\xFF}",
          "-\xFF"}},
        {ERR_DUPLICATE_KEY,
         {"{\"a\":1,\"a\":1}",
          "{\"a\":1,\"a\":2}",
          "{\"a\":1,\"b\":2,\"a\":3}",
          "{\"\":1,\"\":1}",
          "{\"a\":1,\"\\u0061\":2}",
          "{\"\\u0061\":1,\"a\":2}",
          "{\"\\u0061\":1,\"\\u0061\":2}",
          "{\"\\/\":1,\"/\":2}",
          "{\"\\n\":1,\"\\u000A\":2}",
          "{\"\xC3\xA9\":1,\"\\u00e9\":2}",
          "{\"\xF0\x9F\x98\x80\":1,\"\\uD83D\\uDE00\":2}",
          "{\"\\u007F\":1,\"\x7F\":2}",
          "{\"\\u0080\":1,\"\xC2\x80\":2}",
          "{\"\\u07fF\":1,\"\xDF\xBF\":2}",
          "{\"\\u0800\":1,\"\xE0\xA0\x80\":2}",
          "{\"\\uFFFF\":1,\"\xEF\xBF\xBF\":2}",
          "{\"\\uD800\\uDC00\":1,\"\xF0\x90\x80\x80\":2}",
          "{\"\\uDBFF\\uDFFF\":1,\"\xF4\x8F\xBF\xBF\":2}",
          "{\"ab\\n\\\"\":1,\"ab\\u000A\\u0022\":2}",
          "{\"a\":{\"b\":1,\"b\":2}}",
          "[{\"b\":1,\"b\":2}]",
          "{\"a\":{\"a\":1},\"a\":1}",
          "{\"b\":1,\"a\":{\"a\":1},\"c\":1,\"b\":2}",
          "{\"a\":[],\"a\":{}}",
          "{\"price\":1,\"name\":\"x\",\"price\":2}"}},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        for (const char *const *text = rows[i].texts; *text; text++) {
            enum err_code code = check(*state, *text, strlen(*text), 8);
            if (code != rows[i].code)
                fail_msg("%s: %s", *text, err_slug(code));
        }
    }
    assert_int_equal(check(*state, "1\0", 2, 8), ERR_INVALID_JSON);
    assert_int_equal(check(*state, "\0", 1, 8), ERR_INVALID_JSON);
    assert_int_equal(check(*state, "\"a\0b\"", 5, 8), ERR_INVALID_JSON);
    assert_int_equal(check(*state, "\"\\\0\"", 4, 8), ERR_INVALID_JSON);
    assert_int_equal(check(*state, "\"\\u00\0\0\"", 8, 8), ERR_INVALID_JSON);
    assert_int_equal(check(*state, "{\"a\":1}\0", 8, 8), ERR_INVALID_JSON);
}

// Cut anywhere, a text that is not a number is not JSON; no byte behind the end is read.
static void what_is_cut(void **state)
{
    static const char text[] =
        "{\"a\\n\":[1.5e+3,true,null,{\"b\":\"\\uD83D\\uDE00\xC3\xA9\"}]}";
    for (size_t len = 0; len < sizeof text - 1; len++)
        assert_int_not_equal(check(*state, text, len, 8), ERR_NONE);
    assert_int_equal(check(*state, text, sizeof text - 1, 8), ERR_NONE);
}

static void depth_is_counted(void **state)
{
    static const struct {
        const char *text;
        int depth;
    } rows[] = {
        {"1", 0},
        {"[]", 1},
        {"{}", 1},
        {"[[]]", 2},
        {"[{}]", 2},
        {"{\"a\":[1,2]}", 2},
        {"[[],[]]", 2},
        {"{\"a\":{\"b\":{\"c\":{}}}}", 4},
        {"[[],[[]],[]]", 3},
        {"[[[[[[[[1]]]]]]]]", 8},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        const char *text = rows[i].text;
        if (check(*state, text, strlen(text), rows[i].depth) != ERR_NONE)
            fail_msg("too deep for %d: %s", rows[i].depth, text);
        if (rows[i].depth > 0 &&
            check(*state, text, strlen(text), rows[i].depth - 1) != ERR_NESTING_TOO_DEEP)
            fail_msg("not too deep for %d: %s", rows[i].depth - 1, text);
    }
    char open[10000];
    memset(open, '[', sizeof open);
    assert_int_equal(check(*state, open, sizeof open, 8), ERR_NESTING_TOO_DEEP);
}

static void details_say_what_and_where(void **state)
{
    static const struct {
        const char *text, *detail;
    } rows[] = {
        {"", "the text ends too early at byte 0"},
        {"{\"a\":1", "the text ends too early at byte 6"},
        {"{\"a\":01}", "a number with a leading zero at byte 6"},
        {"{a:1}", "no key in quotes at byte 1"},
        {"{\"a\" 1}", "no colon after a key at byte 5"},
        {"[1 2]", "no comma or ']' at byte 3"},
        {"{\"a\":1 2}", "no comma or '}' at byte 7"},
        {"1 2", "more text after the value at byte 2"},
        {"[nul]", "no value at byte 1"},
        {"\"a\tb\"", "a raw control character in a string at byte 2"},
        {"\"a\\qb\"", "an unknown escape at byte 2"},
        {"\"\\u0000\"", "an escaped NUL at byte 1"},
        {"\"\\ud800\"", "a lone surrogate at byte 1"},
        {"\"\\u12\"", "a malformed \\u escape at byte 1"},
        {"\"\\u12x4\"", "a malformed \\u escape at byte 1"},
        {"\"ab\xFF\"", "not UTF-8 at byte 3"},
        {"{\"b\":1,\"a\":2,\"b\":3}", "the same key again at byte 13"},
        {"[[[[[[[[[", "nested too deep at byte 8"},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct err e = json_check(*state, rows[i].text, strlen(rows[i].text), 8);
        assert_string_equal(e.detail, rows[i].detail);
        assert_null(e.field);
        talloc_free((void *)e.detail);
    }
}

// 200,000 keys: quadratic work would take minutes.
static void many_keys_are_cheap(void **state)
{
    struct buf b;
    buf_init(&b, *state, 1 << 20);
    buf_add_char(&b, '{');
    for (int i = 0; i < 200000; i++)
        buf_printf(&b, "%s\"\\u0061%d\":0", i ? "," : "", i);
    buf_add_char(&b, '}');
    int64_t start = clock_mono_ns();
    assert_int_equal(check(*state, b.data, b.len, 8), ERR_NONE);
    assert_true(clock_mono_ns() - start < INT64_C(10000000000));
    buf_truncate(&b, b.len - 1);
    buf_add_str(&b, ",\"a77777\":1}");
    assert_int_equal(check(*state, b.data, b.len, 8), ERR_DUPLICATE_KEY);
    talloc_free(b.data);
}

static void parse_builds_the_tree(void **state)
{
    static const char text[] =
        "{\"id\":7,\"price\":999.90,\"e\":1e2,\"name\":\"\\u00e9\","
        "\"big\":99999999999999999999,\"list\":[true,null]}";
    struct json_object *root = NULL, *value;
    void *mem = talloc_new(*state);
    assert_false(err_is(json_parse(mem, text, sizeof text - 1, &root)));
    assert_true(json_object_is_type(root, json_type_object));
    assert_true(json_object_object_get_ex(root, "id", &value));
    assert_true(json_object_is_type(value, json_type_int));
    assert_int_equal(json_object_get_int64(value), 7);
    assert_true(json_object_object_get_ex(root, "price", &value));
    assert_true(json_object_is_type(value, json_type_double));
    assert_string_equal(json_object_get_string(value), "999.90");
    assert_true(json_object_object_get_ex(root, "e", &value));
    assert_string_equal(json_object_get_string(value), "1e2");
    assert_true(json_object_object_get_ex(root, "name", &value));
    assert_string_equal(json_object_get_string(value), "\xC3\xA9");
    assert_true(json_object_object_get_ex(root, "big", &value));
    assert_int_equal(json_object_get_int64(value), INT64_MAX);
    assert_true(json_object_object_get_ex(root, "list", &value));
    assert_int_equal(json_object_array_length(value), 2);
    talloc_free(mem);
}

// One more reference outlives the memory: what the destructor drops is exactly its own.
static void the_tree_dies_with_its_memory(void **state)
{
    struct json_object *root = NULL;
    void *mem = talloc_new(*state);
    assert_false(err_is(json_parse(mem, "[1]", 3, &root)));
    json_object_get(root);
    talloc_free(mem);
    assert_int_equal(json_object_put(root), 1);
}

static void scalars_are_values_too(void **state)
{
    static const struct {
        const char *text;
        enum json_type type;
    } rows[] = {
        {"0", json_type_int},         {"123", json_type_int},
        {"-5", json_type_int},        {"1.5", json_type_double},
        {"1e5", json_type_double},    {" 7 ", json_type_int},
        {"true", json_type_boolean},  {"\"x\"", json_type_string},
        {"null", json_type_null},     {"[]", json_type_array},
        {"false", json_type_boolean},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct json_object *root = (struct json_object *)state;
        void *mem = talloc_new(*state);
        assert_false(err_is(json_parse(mem, rows[i].text, strlen(rows[i].text), &root)));
        if (json_object_get_type(root) != rows[i].type)
            fail_msg("%s", rows[i].text);
        talloc_free(mem);
    }
}

static void parse_refuses_as_check_does(void **state)
{
    static const struct {
        const char *text;
        enum err_code code;
    } rows[] = {
        {"{\"a\":1,\"a\":2}", ERR_DUPLICATE_KEY},
        {"{'a':1}", ERR_INVALID_JSON},
        {"[NaN]", ERR_INVALID_JSON},
        {"\"\xFF\"", ERR_INVALID_UTF8},
        {"[[[[[[[[[]]]]]]]]]", ERR_NESTING_TOO_DEEP},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct json_object *untouched = (struct json_object *)state, *root = untouched;
        struct err e = json_parse(*state, rows[i].text, strlen(rows[i].text), &root);
        assert_int_equal(e.code, rows[i].code);
        assert_ptr_equal(root, untouched);
        talloc_free((void *)e.detail);
    }
    struct json_object *root;
    void *mem = talloc_new(*state);
    assert_false(err_is(json_parse(mem, "[[[[[[[[1]]]]]]]]", 17, &root)));
    talloc_free(mem);
}

static void strings_are_written(void **state)
{
    static const struct {
        const char *text;
        size_t len;
        const char *written;
    } rows[] = {
        {"", 0, "\"\""},
        {"ab c", 4, "\"ab c\""},
        {"a\"b\\c/d", 7, "\"a\\\"b\\\\c/d\""},
        {"\b\f\n\r\t", 5, "\"\\b\\f\\n\\r\\t\""},
        {"\0\x01\x1F\x7F", 4, "\"\\u0000\\u0001\\u001f\x7F\""},
        {"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80", 9,
         "\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\""},
        {"a\xFF", 2, "\"a\xEF\xBF\xBD\""},
        {"\xFFz", 2, "\"\xEF\xBF\xBDz\""},
        {"\xC3", 1, "\"\xEF\xBF\xBD\""},
        {"\xED\xA0\x80", 3, "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\""},
        {"\xC3\xA9\xC3\"", 4, "\"\xC3\xA9\xEF\xBF\xBD\\\"\""},
        {"</script>", 9, "\"</script>\""},
    };
    struct buf b;
    buf_init(&b, *state, 0);
    for (size_t i = 0; i < LENGTH(rows); i++) {
        buf_truncate(&b, 0);
        json_put_string(&b, rows[i].text, rows[i].len);
        assert_string_equal(b.data, rows[i].written);
    }
    talloc_free(b.data);
}

// Any two bytes give a valid string; valid ones without NUL come back as they went in.
static void what_is_written_is_read_again(void **state)
{
    struct buf b;
    buf_init(&b, *state, 64);
    for (int n = 0; n < 1 << 16; n++) {
        const char text[] = {(char)(n & 0xFF), (char)(n >> 8)};
        buf_truncate(&b, 0);
        json_put_string(&b, text, 2);
        bool nul = !text[0] || !text[1];
        struct err e = json_check(*state, b.data, b.len, 0);
        if (err_is(e) != nul)
            fail_msg("bytes %02X %02X: %s", n & 0xFF, n >> 8, e.detail);
        talloc_free((void *)e.detail);
        if (nul || (n & 0x8080))
            continue;
        struct json_object *root;
        void *mem = talloc_new(*state);
        assert_false(err_is(json_parse(mem, b.data, b.len, &root)));
        assert_int_equal(json_object_get_string_len(root), 2);
        assert_memory_equal(json_object_get_string(root), text, 2);
        talloc_free(mem);
    }
    talloc_free(b.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(what_is_accepted),
        UNIT_TEST(what_is_refused),
        UNIT_TEST(what_is_cut),
        UNIT_TEST(depth_is_counted),
        UNIT_TEST(details_say_what_and_where),
        UNIT_TEST(many_keys_are_cheap),
        UNIT_TEST(parse_builds_the_tree),
        UNIT_TEST(the_tree_dies_with_its_memory),
        UNIT_TEST(scalars_are_values_too),
        UNIT_TEST(parse_refuses_as_check_does),
        UNIT_TEST(strings_are_written),
        UNIT_TEST(what_is_written_is_read_again),
    };
    return UNIT_RUN(tests);
}
