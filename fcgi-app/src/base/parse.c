// Readers of small texts: numbers, UTF-8, percent encoding, entity-tags, media types.

#include "base/parse.h"

#include <string.h>
#include <strings.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool parse_int(const char *text, size_t len, int64_t min, int64_t max, int64_t *out)
{
    const char *p = text;
    const char *end = text + len;
    bool negative = p < end && *p == '-';
    p += negative;
    if (p == end || (*p == '0' && (negative || end - p > 1)))
        return false;

    // Counting downwards reaches INT64_MIN too.
    int64_t value = 0;
    for (; p < end; p++) {
        if (!is_digit(*p) || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, *p - '0', &value))
            return false;
    }
    if (!negative && __builtin_sub_overflow(0, value, &value))
        return false;
    if (value < min || value > max)
        return false;
    *out = value;
    return true;
}

size_t parse_utf8_char(const char *s, size_t len)
{
    const unsigned char *u = (const unsigned char *)s;
    if (len == 0)
        return 0;
    if (u[0] < 0x80)
        return 1;

    // The second byte's range excludes overlong forms, surrogates and all above U+10FFFF.
    size_t size;
    unsigned char low = 0x80, high = 0xBF;
    if (u[0] >= 0xC2 && u[0] <= 0xDF) {
        size = 2;
    } else if (u[0] >= 0xE0 && u[0] <= 0xEF) {
        size = 3;
        low = u[0] == 0xE0 ? 0xA0 : low;
        high = u[0] == 0xED ? 0x9F : high;
    } else if (u[0] >= 0xF0 && u[0] <= 0xF4) {
        size = 4;
        low = u[0] == 0xF0 ? 0x90 : low;
        high = u[0] == 0xF4 ? 0x8F : high;
    } else {
        return 0;
    }
    if (len < size || u[1] < low || u[1] > high)
        return 0;
    for (size_t i = 2; i < size; i++) {
        if ((u[i] & 0xC0) != 0x80)
            return 0;
    }
    return size;
}

bool parse_utf8(const char *s, size_t len, size_t *chars, bool *control)
{
    size_t count = 0;
    bool seen = false;
    for (size_t i = 0, size; i < len; i += size, count++) {
        size = parse_utf8_char(s + i, len - i);
        if (size == 0)
            return false;
        unsigned char c = (unsigned char)s[i];
        unsigned char next = size == 2 ? (unsigned char)s[i + 1] : 0;
        seen |= c < 0x20 || c == 0x7F || (c == 0xC2 && next < 0xA0);
    }
    if (chars)
        *chars = count;
    if (control)
        *control = seen;
    return true;
}

static int hex_value(char c)
{
    if (is_digit(c))
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

bool parse_percent_decode(const char *s, size_t len, char *out, size_t *out_len)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        char c = s[i];
        if (c == '%') {
            if (len - i < 3)
                return false;
            int high = hex_value(s[i + 1]);
            int low = hex_value(s[i + 2]);
            if (high < 0 || low < 0)
                return false;
            c = (char)(high * 16 + low);
            i += 2;
        }
        out[n++] = c;
    }
    *out_len = n;
    return true;
}

static const char *skip_blanks(const char *p)
{
    return p + strspn(p, " \t");
}

// RFC 9110, 8.8.3: what an opaque-tag is made of, obs-text included.
static bool is_etagc(char c)
{
    unsigned char u = (unsigned char)c;
    return u == 0x21 || (u >= 0x23 && u != 0x7F);
}

enum etag_match parse_etag_list(const char *header, const char *opaque,
                                enum etag_compare how)
{
    size_t opaque_len = strlen(opaque);
    enum etag_match match = ETAG_NO;
    const char *p = skip_blanks(header);
    if (*p == '*')
        return *skip_blanks(p + 1) ? ETAG_MALFORMED : ETAG_YES;

    while (*p) {
        if (*p != ',') {
            bool weak = p[0] == 'W' && p[1] == '/';
            p += weak ? 2 : 0;
            if (*p++ != '"')
                return ETAG_MALFORMED;
            const char *tag = p;
            while (is_etagc(*p))
                p++;
            if (*p != '"')
                return ETAG_MALFORMED;
            if ((size_t)(p - tag) == opaque_len && memcmp(tag, opaque, opaque_len) == 0 &&
                (how == ETAG_WEAK || !weak))
                match = ETAG_YES;
            p = skip_blanks(p + 1);
        }
        if (*p == ',')
            p = skip_blanks(p + 1);
        else if (*p)
            return ETAG_MALFORMED;
    }
    return match;
}

// RFC 9110, 5.6.2.
static bool is_tchar(char c)
{
    return is_digit(c) || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c));
}

static const char *skip_token(const char *p)
{
    while (is_tchar(*p))
        p++;
    return p;
}

// Reads a quoted-string (RFC 9110, 5.6.4). Its content goes to `out` as a string, as far
// as it fits. Returns where it ended, or NULL if malformed.
static const char *read_quoted(const char *p, char *out, size_t size)
{
    size_t n = 0;
    for (p++; *p != '"'; p++) {
        if (*p == '\\')
            p++;
        unsigned char u = (unsigned char)*p;
        if ((u < 0x20 && u != '\t') || u == 0x7F)
            return NULL;
        if (n < size - 1)
            out[n++] = *p;
    }
    out[n] = '\0';
    return p + 1;
}

bool parse_media_type_json(const char *content_type)
{
    static const char type[] = "application/json";
    if (!content_type || strncasecmp(content_type, type, sizeof type - 1) != 0)
        return false;

    const char *p = skip_blanks(content_type + sizeof type - 1);
    while (*p == ';') {
        const char *name = skip_blanks(p + 1);
        p = skip_token(name);
        if (p == name) { // an empty parameter
            p = skip_blanks(p);
            continue;
        }
        bool is_charset = p - name == 7 && strncasecmp(name, "charset", 7) == 0;
        if (*p++ != '=')
            return false;

        char value[sizeof "utf-8" + 1] = ""; // one more, so that a cut value differs
        if (*p == '"') {
            p = read_quoted(p, value, sizeof value);
            if (!p)
                return false;
        } else {
            const char *end = skip_token(p);
            if (end == p)
                return false;
            for (size_t i = 0; p < end; p++, i++) {
                if (i < sizeof value - 1)
                    value[i] = *p;
            }
        }
        if (is_charset && strcasecmp(value, "utf-8") != 0)
            return false;
        p = skip_blanks(p);
    }
    return *p == '\0';
}
