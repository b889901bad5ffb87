// The strict JSON scanner (recursive descent, no tree), json-c behind it, and the writer.

#include "base/json.h"

#include <json-c/json_tokener.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/parse.h"

// A key of an object whose end has not been met yet, unescaped.
struct key {
    const char *text;
    size_t len;
    size_t at;
};

// One text being checked. Objects within each other share `keys` as a stack: an inner
// one's are gone before its parent adds the next.
struct scan {
    void *mem; // of the details
    void *tmp;
    const char *start, *p, *end;
    int depth, max_depth;
    struct key *keys;
    size_t n_keys, cap_keys;
};

static struct err scan_value(struct scan *s) must_check;

static struct err fault(const struct scan *s, enum err_code code, const char *what,
                        const char *at)
{
    return err_make(code, NULL,
                    mem_printf(s->mem, "%s at byte %td", what, at - s->start));
}

// Not JSON at s->p, for the reason given unless it is the text's end or the encoding.
static struct err invalid(const struct scan *s, const char *what)
{
    if (s->p == s->end)
        return fault(s, ERR_INVALID_JSON, "the text ends too early", s->p);
    if (!parse_utf8_char(s->p, (size_t)(s->end - s->p)))
        return fault(s, ERR_INVALID_UTF8, "not UTF-8", s->p);
    return fault(s, ERR_INVALID_JSON, what, s->p);
}

static bool next_is(const struct scan *s, char c)
{
    return s->p < s->end && *s->p == c;
}

static bool next_is_digit(const struct scan *s)
{
    return s->p < s->end && *s->p >= '0' && *s->p <= '9';
}

static bool skip_digits(struct scan *s)
{
    const char *first = s->p;
    while (next_is_digit(s))
        s->p++;
    return s->p > first;
}

static void skip_blanks(struct scan *s)
{
    while (s->p < s->end &&
           (*s->p == ' ' || *s->p == '\t' || *s->p == '\n' || *s->p == '\r'))
        s->p++;
}

static struct err scan_number(struct scan *s)
{
    s->p += next_is(s, '-');
    if (next_is(s, '0')) {
        s->p++;
        if (next_is_digit(s))
            return invalid(s, "a number with a leading zero");
    } else if (!skip_digits(s)) {
        return invalid(s, "a number without digits");
    }
    if (next_is(s, '.')) {
        s->p++;
        if (!skip_digits(s))
            return invalid(s, "no digit after the point");
    }
    if (next_is(s, 'e') || next_is(s, 'E')) {
        s->p++;
        s->p += next_is(s, '+') || next_is(s, '-');
        if (!skip_digits(s))
            return invalid(s, "an exponent without digits");
    }
    return err_ok();
}

// Reads four hexadecimal digits; -1 when they are not there.
static long read_hex4(const char **p, const char *end)
{
    long value = 0;
    if (end - *p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        static const char hex[] = "0123456789abcdef";
        char c = (*p)[i];
        const char *digit = c ? strchr(hex, c >= 'A' && c <= 'F' ? c + 32 : c) : NULL;
        if (!digit)
            return -1;
        value = value * 16 + (digit - hex);
    }
    *p += 4;
    return value;
}

static size_t put_utf8(char *out, long c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    size_t size = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = size - 1; i > 0; i--, c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3F));
    static const unsigned char lead[] = {[2] = 0xC0, [3] = 0xE0, [4] = 0xF0};
    out[0] = (char)(lead[size] | c);
    return size;
}

// Decodes what follows a backslash into 1 to 4 bytes and moves *p past it. Returns their
// number; 0, with the fault in *what, when it is no escape.
static size_t read_escape(const char **p, const char *end, char out[4], const char **what)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    *what = "an unknown escape";
    char c = *p < end ? *(*p)++ : '\0';
    if (c != 'u') {
        const char *known = c ? strchr(from, c) : NULL;
        if (known)
            out[0] = to[known - from];
        return known ? 1 : 0;
    }

    long high = read_hex4(p, end);
    *what = high == 0  ? "an escaped NUL"
            : high < 0 ? "a malformed \\u escape"
                       : "a lone surrogate";
    if (high <= 0 || (high >= 0xDC00 && high <= 0xDFFF))
        return 0;
    if (high < 0xD800 || high > 0xDFFF)
        return put_utf8(out, high);
    if (end - *p < 2 || (*p)[0] != '\\' || (*p)[1] != 'u')
        return 0;
    *p += 2;
    long low = read_hex4(p, end);
    if (low < 0xDC00 || low > 0xDFFF)
        return 0;
    return put_utf8(out, 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00));
}

// Reads a string; *escaped: whether it has an escape in it.
static struct err scan_string(struct scan *s, bool *escaped)
{
    *escaped = false;
    s->p++;
    while (s->p < s->end && *s->p != '"') {
        unsigned char c = (unsigned char)*s->p;
        if (c == '\\') {
            char decoded[4];
            const char *what, *after = s->p + 1;
            if (!read_escape(&after, s->end, decoded, &what))
                return invalid(s, what);
            s->p = after;
            *escaped = true;
        } else if (c < 0x20) {
            return invalid(s, "a raw control character in a string");
        } else if (c < 0x80) {
            s->p++;
        } else {
            size_t size = parse_utf8_char(s->p, (size_t)(s->end - s->p));
            if (!size)
                return invalid(s, "");
            s->p += size;
        }
    }
    if (s->p == s->end)
        return invalid(s, "");
    s->p++;
    return err_ok();
}

// Replaces a checked key's text by what its escapes stand for.
static void unescape(void *mem, struct key *key)
{
    const char *p = key->text, *end = p + key->len;
    char *out = mem_must(talloc_size(mem, key->len));
    size_t len = 0;
    while (p < end) {
        const char *what;
        if (*p != '\\') {
            out[len++] = *p++;
        } else {
            p++;
            len += read_escape(&p, end, out + len, &what);
        }
    }
    key->text = out;
    key->len = len;
}

static void push_key(struct scan *s, struct key key)
{
    if (s->n_keys == s->cap_keys) {
        s->cap_keys = s->cap_keys * 2 + 16;
        size_t size = s->cap_keys * sizeof *s->keys;
        s->keys = mem_must(talloc_realloc_size(s->tmp, s->keys, size));
    }
    s->keys[s->n_keys++] = key;
}

static int compare_keys(const void *left, const void *right)
{
    const struct key *a = left, *b = right;
    if (a->len != b->len)
        return a->len < b->len ? -1 : 1;
    int order = memcmp(a->text, b->text, a->len);
    return order ? order : (a->at > b->at) - (a->at < b->at);
}

// Ends an object whose keys are those from `first` on: takes them off, and looks for two
// equal ones. Sorting keeps a body of a few thousand keys cheap.
static struct err pop_keys(struct scan *s, size_t first)
{
    size_t n = s->n_keys - first;
    s->n_keys = first;
    if (n < 2)
        return err_ok();
    struct key *keys = s->keys + first;
    qsort(keys, n, sizeof *keys, compare_keys);
    for (size_t i = 1; i < n; i++) {
        if (keys[i].len == keys[i - 1].len &&
            memcmp(keys[i].text, keys[i - 1].text, keys[i].len) == 0)
            return fault(s, ERR_DUPLICATE_KEY, "the same key again",
                         s->start + keys[i].at);
    }
    return err_ok();
}

static struct err scan_member(struct scan *s)
{
    if (!next_is(s, '"'))
        return invalid(s, "no key in quotes");
    struct key key = {.text = s->p + 1, .at = (size_t)(s->p - s->start)};
    bool escaped;
    struct err e = scan_string(s, &escaped);
    if (err_is(e))
        return e;
    key.len = (size_t)(s->p - 1 - key.text);
    if (escaped)
        unescape(s->tmp, &key);
    push_key(s, key);

    skip_blanks(s);
    if (!next_is(s, ':'))
        return invalid(s, "no colon after a key");
    s->p++;
    return scan_value(s);
}

// An object or an array.
static struct err scan_container(struct scan *s)
{
    if (++s->depth > s->max_depth)
        return fault(s, ERR_NESTING_TOO_DEEP, "nested too deep", s->p);
    bool object = *s->p++ == '{';
    char close = object ? '}' : ']';
    size_t first_key = s->n_keys;

    skip_blanks(s);
    bool empty = next_is(s, close);
    while (!empty) {
        skip_blanks(s);
        struct err e = object ? scan_member(s) : scan_value(s);
        if (err_is(e))
            return e;
        if (!next_is(s, ','))
            break;
        s->p++;
    }
    if (!next_is(s, close))
        return invalid(s, object ? "no comma or '}'" : "no comma or ']'");
    s->p++;
    s->depth--;
    return pop_keys(s, first_key);
}

static struct err scan_literal(struct scan *s)
{
    static const char *const literals[] = {"true", "false", "null"};
    for (size_t i = 0; i < sizeof literals / sizeof *literals; i++) {
        size_t len = strlen(literals[i]);
        if ((size_t)(s->end - s->p) >= len && memcmp(s->p, literals[i], len) == 0) {
            s->p += len;
            return err_ok();
        }
    }
    return invalid(s, "no value");
}

// A value and the blanks around it.
static struct err scan_value(struct scan *s)
{
    struct err e;
    bool escaped;
    skip_blanks(s);
    if (next_is(s, '{') || next_is(s, '['))
        e = scan_container(s);
    else if (next_is(s, '"'))
        e = scan_string(s, &escaped);
    else if (next_is(s, '-') || next_is_digit(s))
        e = scan_number(s);
    else
        e = scan_literal(s);
    skip_blanks(s);
    return e;
}

struct err json_check(void *mem, const char *text, size_t len, int max_depth)
{
    struct scan s = {
        .mem = mem,
        .tmp = mem_must(talloc_new(mem)),
        .start = text,
        .p = text,
        .end = text + len,
        .max_depth = max_depth,
    };
    struct err e = scan_value(&s);
    if (!err_is(e) && s.p < s.end)
        e = invalid(&s, "more text after the value");
    talloc_free(s.tmp);
    return e;
}

struct tree {
    struct json_object *root;
};

static int release_tree(struct tree *tree)
{
    json_object_put(tree->root);
    return 0;
}

struct err json_parse(void *mem, const char *text, size_t len, struct json_object **root)
{
    struct err e = json_check(mem, text, len, JSON_DEPTH_MAX);
    if (err_is(e))
        return e;
    if (len > INT_MAX)
        return err_make(ERR_INVALID_JSON, NULL, "too long");

    struct json_tokener *tokener = mem_must(json_tokener_new());
    struct json_object *object = json_tokener_parse_ex(tokener, text, (int)len);
    // A number at the very end might go on: the NUL says that it does not.
    if (json_tokener_get_error(tokener) == json_tokener_continue)
        object = json_tokener_parse_ex(tokener, "", 1);
    enum json_tokener_error error = json_tokener_get_error(tokener);
    json_tokener_free(tokener);
    if (error != json_tokener_success)
        return err_make(ERR_INVALID_JSON, NULL, json_tokener_error_desc(error));

    struct tree *tree = mem_new(mem, struct tree);
    tree->root = object;
    talloc_set_destructor(tree, release_tree);
    *root = object;
    return err_ok();
}

// Appends one byte of a string that may not stand there as it is.
static void put_escape(struct buf *b, unsigned char c)
{
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    const char *known = c ? strchr(from, c) : NULL;
    if (known) {
        buf_add_char(b, '\\');
        buf_add_char(b, to[known - from]);
    } else {
        buf_printf(b, "\\u%04x", c);
    }
}

void json_put_string(struct buf *b, const char *utf8, size_t len)
{
    buf_add_char(b, '"');
    size_t done = 0; // written so far; what follows up to i is fine as it is
    for (size_t i = 0, size; i < len; i += size) {
        unsigned char c = (unsigned char)utf8[i];
        size = c < 0x80 ? 1 : parse_utf8_char(utf8 + i, len - i);
        if (size != 0 && c >= 0x20 && c != '"' && c != '\\')
            continue;
        buf_add(b, utf8 + done, i - done);
        if (size == 0)
            buf_add_str(b, "\uFFFD");
        else
            put_escape(b, c);
        size = 1;
        done = i + 1;
    }
    buf_add(b, utf8 + done, len - done);
    buf_add_char(b, '"');
}
