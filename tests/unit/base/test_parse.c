#include "unit.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/parse.h"

static void integers(void **state)
{
    static const struct {
        const char *text;
        int64_t min, max;
        bool good;
        int64_t value;
    } rows[] = {
        {"0", 0, 9, true, 0},
        {"9", 0, 9, true, 9},
        {"10", 0, 9, false, 0},
        {"-1", 0, 9, false, 0},
        {"-1", -1, 9, true, -1},
        {"-10", -10, 10, true, -10},
        {"42", 42, 42, true, 42},
        {"41", 42, 42, false, 0},
        {"2147483647", 1, INT32_MAX, true, INT32_MAX},
        {"2147483648", 1, INT32_MAX, false, 0},
        {"9223372036854775807", INT64_MIN, INT64_MAX, true, INT64_MAX},
        {"9223372036854775808", INT64_MIN, INT64_MAX, false, 0},
        {"-9223372036854775808", INT64_MIN, INT64_MAX, true, INT64_MIN},
        {"-9223372036854775809", INT64_MIN, INT64_MAX, false, 0},
        {"18446744073709551617", 0, 9, false, 0}, // 2^64 + 1
        {"99999999999999999999999999", INT64_MIN, INT64_MAX, false, 0},
        {"", -9, 9, false, 0},
        {"-", -9, 9, false, 0},
        {"-0", -9, 9, false, 0},
        {"00", -9, 9, false, 0},
        {"01", -9, 9, false, 0},
        {"-01", -9, 9, false, 0},
        {"+1", -9, 9, false, 0},
        {"--1", -9, 9, false, 0},
        {" 1", -9, 9, false, 0},
        {"1 ", -9, 9, false, 0},
        {"1\n", -9, 9, false, 0},
        {"1.0", -9, 9, false, 0},
        {"1e0", -9, 9, false, 0},
        {"0x1", -9, 9, false, 0},
        {"a", -9, 9, false, 0},
        {"1a", -9, 99, false, 0},
        {"\xEF\xBC\x91", -9, 9, false, 0}, // a full-width 1
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        int64_t value = -77;
        size_t len = strlen(rows[i].text);
        char *text = talloc_memdup(*state, rows[i].text, len); // no NUL behind it
        bool good = parse_int(text, len, rows[i].min, rows[i].max, &value);
        talloc_free(text);
        if (good != rows[i].good)
            fail_msg("\"%s\" is %s", rows[i].text, good ? "read" : "refused");
        assert_int_equal(value, good ? rows[i].value : -77);
    }
    int64_t value;
    assert_false(parse_int("1\0", 2, 0, 9, &value));
    assert_true(parse_int("123", 2, 0, 99, &value));
    assert_int_equal(value, 12);
}

// Every sequence of up to three bytes, and of four where the first allows it, against the
// definition: decode, then look whether the shortest encoding is the same.
static size_t reference_utf8_char(const unsigned char *s, size_t len)
{
    size_t size = s[0] < 0x80           ? 1
                  : (s[0] >> 5) == 0x06 ? 2
                  : (s[0] >> 4) == 0x0E ? 3
                  : (s[0] >> 3) == 0x1E ? 4
                                        : 0;
    static const unsigned char payload[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (size == 0 || size > len)
        return 0;
    uint32_t c = s[0] & payload[size];
    for (size_t i = 1; i < size; i++) {
        if ((s[i] & 0xC0) != 0x80)
            return 0;
        c = c << 6 | (s[i] & 0x3F);
    }
    bool bad = c < least[size] || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF);
    return bad ? 0 : size;
}

static void utf8_sequences(void **state)
{
    (void)state;
    assert_int_equal(parse_utf8_char("", 0), 0);
    for (uint32_t n = 0; n < 1 << 24; n++) {
        // Of the third byte only where ranges begin and end, and the fourth likewise.
        static const unsigned char edges[] = {0x00, 0x7F, 0x80, 0x8F, 0x90,
                                              0x9F, 0xA0, 0xBF, 0xC0, 0xFF};
        uint32_t third = n >> 16 & 0xF, fourth = n >> 20;
        if (third >= LENGTH(edges) || fourth >= LENGTH(edges))
            continue;
        unsigned char s[4] = {n & 0xFF, n >> 8 & 0xFF, edges[third], edges[fourth]};
        for (size_t len = 1; len <= 4; len++) {
            if (parse_utf8_char((const char *)s, len) != reference_utf8_char(s, len))
                fail_msg("%02X %02X %02X %02X, length %zu", s[0], s[1], s[2], s[3], len);
        }
    }
}

static void utf8_texts(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool valid;
        size_t chars;
        bool control;
    } rows[] = {
        {"", true, 0, false},
        {"Laptop", true, 6, false},
        {"\xC3\xA9t\xC3\xA9", true, 3, false},
        {"\xE2\x82\xAC\xF0\x9F\x98\x80", true, 2, false},
        {"\xEF\xBF\xBF\xF4\x8F\xBF\xBF", true, 2, false}, // noncharacters are characters
        {"a\tb", true, 3, true},
        {"\x1F", true, 1, true},
        {"\x7F", true, 1, true},
        {" ~", true, 2, false},
        {"\xC2\x80", true, 1, true},
        {"x\xC2\x85y", true, 3, true},
        {"\xC2\x9F", true, 1, true},
        {"\xC2\xA0", true, 1, false},
        {"\xC3\x80\xC3\x9F", true, 2, false}, // the second bytes are those of C1 after C2
        {"\xE2\x80\xA8", true, 1, false},     // U+2028 is Zl, not Cc
        {"\x80", false, 0, false},
        {"a\xC3", false, 0, false},
        {"\xC0\xAF", false, 0, false},
        {"\xE0\x80\xAF", false, 0, false},
        {"\xED\xA0\x80", false, 0, false},
        {"\xED\xBF\xBF", false, 0, false},
        {"\xF4\x90\x80\x80", false, 0, false},
        {"\xF8\x88\x80\x80\x80", false, 0, false},
        {"\xE2\x28\xA1", false, 0, false},
        {"\xFF", false, 0, false},
        {"abc\xFE", false, 0, false},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        size_t chars = 99, len = strlen(rows[i].text);
        bool control = !rows[i].control;
        if (parse_utf8(rows[i].text, len, &chars, &control) != rows[i].valid)
            fail_msg("row %zu", i);
        assert_int_equal(chars, rows[i].valid ? rows[i].chars : 99);
        assert_int_equal(control, rows[i].valid ? rows[i].control : !rows[i].control);
        assert_int_equal(parse_utf8(rows[i].text, len, NULL, NULL), rows[i].valid);
    }
    size_t chars;
    bool control;
    assert_true(parse_utf8("a\0b", 3, &chars, &control));
    assert_int_equal(chars, 3);
    assert_true(control);
}

static void percent_encoding(void **state)
{
    static const struct {
        const char *text, *decoded; // NULL: refused
    } rows[] = {
        {"", ""},
        {"user123", "user123"},
        {"a%20b", "a b"},
        {"%41%5a%7A", "AZz"},
        {"a+b", "a+b"},
        {"%2525", "%25"},
        {"%c3%A9", "\xC3\xA9"},
        {"%ff", "\xFF"},
        {"%2F", "/"},
        {"%", NULL},
        {"%4", NULL},
        {"abc%", NULL},
        {"abc%4", NULL},
        {"%%41", NULL},
        {"%4G", NULL},
        {"%G4", NULL},
        {"% 41", NULL},
        {"%+1", NULL},
        {"%-1", NULL},
        {"%0x41", NULL},
        {"%u0041", NULL},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        size_t len = strlen(rows[i].text), out_len = 99;
        char *out = talloc_strdup(*state, rows[i].text);
        bool good = parse_percent_decode(out, len, out, &out_len);
        if (good != (rows[i].decoded != NULL))
            fail_msg("\"%s\"", rows[i].text);
        if (good) {
            assert_int_equal(out_len, strlen(rows[i].decoded));
            assert_memory_equal(out, rows[i].decoded, out_len);
        } else {
            assert_int_equal(out_len, 99);
        }
        talloc_free(out);
    }
    char out[4];
    size_t out_len;
    assert_true(parse_percent_decode("%00b", 4, out, &out_len));
    assert_int_equal(out_len, 2);
    assert_memory_equal(out, "\0b", 2);
    assert_false(parse_percent_decode("%41", 2, out, &out_len));
}

static void entity_tags(void **state)
{
    (void)state;
    // What the header gives for the current tag "7", compared strongly and weakly.
    enum { NO = ETAG_NO, YES = ETAG_YES, BAD = ETAG_MALFORMED };
    static const struct {
        const char *header;
        int strong, weak;
    } rows[] = {
        {"\"7\"", YES, YES},
        {"\"8\"", NO, NO},
        {"\"77\"", NO, NO},
        {"\"\"", NO, NO},
        {"W/\"7\"", NO, YES},
        {"W/\"8\"", NO, NO},
        {"*", YES, YES},
        {" \t*\t ", YES, YES},
        {"\"1\",\"7\"", YES, YES},
        {"\"7\",\"1\"", YES, YES},
        {"\"1\" , \"2\"\t,\t\"7\" ", YES, YES},
        {"W/\"7\", \"7\"", YES, YES},
        {"W/\"7\", \"8\"", NO, YES},
        {"\"1\",,\"7\"", YES, YES},
        {",\"7\"", YES, YES},
        {"\"7\",", YES, YES},
        {" , ,\t\"7\" , , ", YES, YES},
        {"", NO, NO},
        {"  ", NO, NO},
        {",", NO, NO},
        {" , , ", NO, NO},
        {"\"a,b\"", NO, NO},
        {"\"a,\", \"7\"", YES, YES},
        {"\"!#[]~\\\"", NO, NO},
        {"\"\\\", \"7\"", YES, YES}, // a backslash escapes nothing in a tag
        {"\"\x80\xFF\", \"7\"", YES, YES},
        {"7", BAD, BAD},
        {"\"7", BAD, BAD},
        {"7\"", BAD, BAD},
        {"'7'", BAD, BAD},
        {"w/\"7\"", BAD, BAD},
        {"W\"7\"", BAD, BAD},
        {"W/ \"7\"", BAD, BAD},
        {"W/7", BAD, BAD},
        {"W/", BAD, BAD},
        {"W", BAD, BAD},
        {"W/W/\"7\"", BAD, BAD},
        {"\"7\" \"8\"", BAD, BAD},
        {"\"7\"\"8\"", BAD, BAD},
        {"\"7\";\"8\"", BAD, BAD},
        {"\"7\"x", BAD, BAD},
        {"**", BAD, BAD},
        {"*, \"7\"", BAD, BAD},
        {"\"7\", *", BAD, BAD},
        {", *", BAD, BAD},
        {"* x", BAD, BAD},
        {"\"a b\"", BAD, BAD},
        {"\"a\tb\"", BAD, BAD},
        {"\"a\x7F\"", BAD, BAD},
        {"\"a\x01\"", BAD, BAD},
        {"\"7\"\n", BAD, BAD},
        {"\"7\", x", BAD, BAD}, // checked also after the match
        {"\"7\", \"8", BAD, BAD},
        {"W/\"7\",W/", BAD, BAD},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        if (parse_etag_list(rows[i].header, "7", ETAG_STRONG) != rows[i].strong)
            fail_msg("strong: %s", rows[i].header);
        if (parse_etag_list(rows[i].header, "7", ETAG_WEAK) != rows[i].weak)
            fail_msg("weak: %s", rows[i].header);
    }
    assert_int_equal(parse_etag_list("\"\"", "", ETAG_STRONG), ETAG_YES);
    assert_int_equal(parse_etag_list("\"\", \"1\"", "123", ETAG_STRONG), ETAG_NO);
    assert_int_equal(parse_etag_list("\"123\"", "123", ETAG_STRONG), ETAG_YES);
}

static void media_types(void **state)
{
    (void)state;
    static const char *const good[] = {
        "application/json",
        "Application/JSON",
        "application/json ",
        "application/json;charset=utf-8",
        "application/json; charset=UTF-8",
        "application/json ; Charset=\"utf-8\"",
        "application/json\t;\tcharset=\"UTF-8\"\t",
        "application/json;charset=\"\\u\\tf-8\"", // a quoted pair is the character itself
        "application/json; version=1",
        "application/json; a=b; charset=utf-8; c=\"d;e\"",
        "application/json; a=\"b\\\"c\"",
        "application/json; a=\"\"",
        "application/json; AZaz09=AZaz09; a=\"b c\"",
        "application/json; xcharset=latin1",
        "application/json; charsetx=latin1",
        "application/json;",
        "application/json; ; charset=utf-8;",
        "application/json; charset=utf-8; charset=utf-8",
    };
    static const char *const bad[] = {
        "",
        "json",
        "application",
        "application/",
        "application/jso",
        "application/jsonx",
        "application/json5",
        "application/json+x",
        "application/problem+json",
        "application/merge-patch+json",
        "application / json",
        " application/json",
        "text/json",
        "text/plain",
        "*/*",
        "application/*",
        "application/json, text/plain",
        "application/json,application/json",
        "application/json charset=utf-8",
        "application/json; charset=latin1",
        "application/json; charset=utf8",
        "application/json; charset=utf-16",
        "application/json; charset=utf-80",
        "application/json; charset=utf-",
        "application/json; charset=\"utf-80\"",
        "application/json; charset=\"\"",
        "application/json; charset=",
        "application/json; charset",
        "application/json; charset =utf-8",
        "application/json; charset= utf-8",
        "application/json; charset='utf-8'",
        "application/json; charset=\"utf-8",
        "application/json; charset=\"utf-8\\",
        "application/json; charset=utf-8\"",
        "application/json; charset=utf-8; charset=latin1",
        "application/json; charset=latin1; charset=utf-8",
        "application/json; a=b c",
        "application/json; a=\"b\"c",
        "application/json; a=\"\x01\"",
        "application/json; a=\"\x7F\"",
        "application/json; =b",
        "application/json; a==b",
        "application/json; (a)=b",
        "application/json\n",
    };
    assert_false(parse_media_type_json(NULL));
    for (size_t i = 0; i < LENGTH(good); i++) {
        if (!parse_media_type_json(good[i]))
            fail_msg("refused: %s", good[i]);
    }
    for (size_t i = 0; i < LENGTH(bad); i++) {
        if (parse_media_type_json(bad[i]))
            fail_msg("taken: %s", bad[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(integers),         UNIT_TEST(utf8_sequences), UNIT_TEST(utf8_texts),
        UNIT_TEST(percent_encoding), UNIT_TEST(entity_tags),    UNIT_TEST(media_types),
    };
    return UNIT_RUN(tests);
}
