// The readers of base/parse.h and base/money.h, all on the same bytes.

#include "fuzz.h"

#include <stdbool.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/money.h"
#include "base/parse.h"

static void check_numbers(void *mem, const char *text, size_t size)
{
    int64_t value;
    struct buf b;
    buf_init(&b, mem, 32);
    if (parse_int(text, size, INT64_MIN, INT64_MAX, &value)) {
        // Canonical: one number has one text.
        buf_add_int(&b, value);
        HOLDS(b.len == size && memcmp(b.data, text, size) == 0);
        HOLDS(parse_int(text, size, value, value, &value));
        HOLDS(value == INT64_MAX || !parse_int(text, size, value + 1, INT64_MAX, &value));
    }
    if (money_parse(text, size, &value)) {
        int64_t again = ~value;
        HOLDS(value >= -MONEY_CENTS_MAX && value <= MONEY_CENTS_MAX);
        HOLDS(!err_is(json_check(mem, text, size, 0)));
        buf_truncate(&b, 0);
        money_put(&b, value);
        HOLDS(money_parse(b.data, b.len, &again) && again == value);
    }
}

static void check_utf8(void *mem, const char *text, size_t size)
{
    size_t chars = 0;
    bool control = false;
    bool valid = parse_utf8(text, size, &chars, &control);
    struct buf b;
    buf_init(&b, mem, size + 2);
    json_put_string(&b, text, size);
    if (valid) {
        HOLDS(chars <= size && size <= 4 * chars);
        // Without anything to escape the text is written as it is.
        if (!control && !memchr(text, '"', size) && !memchr(text, '\\', size))
            HOLDS(b.len == size + 2 && memcmp(b.data + 1, text, size) == 0);
    } else {
        HOLDS(strstr(b.data, "\xEF\xBF\xBD"));
    }
}

static void check_percent(void *mem, const char *text, size_t size)
{
    size_t len = 0;
    char *out = mem_array(mem, char, size);
    if (parse_percent_decode(text, size, out, &len)) {
        HOLDS(len <= size && (size - len) % 2 == 0);
        HOLDS(memchr(text, '%', size) || (len == size && memcmp(out, text, size) == 0));
    } else {
        HOLDS(memchr(text, '%', size));
    }
    struct buf b;
    buf_init(&b, mem, 3 * size);
    for (size_t i = 0; i < size; i++)
        buf_printf(&b, i % 2 ? "%%%02x" : "%%%02X", (unsigned char)text[i]);
    HOLDS(parse_percent_decode(b.data, b.len, b.data, &len));
    HOLDS(len == size && memcmp(b.data, text, size) == 0);
}

static void check_headers(void *mem, const char *header)
{
    enum etag_match strong = parse_etag_list(header, "7", ETAG_STRONG);
    enum etag_match weak = parse_etag_list(header, "7", ETAG_WEAK);
    HOLDS((strong == ETAG_MALFORMED) == (weak == ETAG_MALFORMED));
    HOLDS(strong != ETAG_YES || weak == ETAG_YES);
    // A list with our tag in front matches, if it was a list at all.
    char *longer = mem_printf(mem, "\"7\",%s", header);
    bool star = header[strspn(header, " \t")] == '*';
    HOLDS(parse_etag_list(longer, "7", ETAG_STRONG) ==
          (star || strong == ETAG_MALFORMED ? ETAG_MALFORMED : ETAG_YES));

    if (parse_media_type_json(header)) {
        longer = mem_printf(mem, "%s;charset=\"UTF-8\"", header);
        HOLDS(parse_media_type_json(longer));
        longer = mem_printf(mem, "%s;charset=latin1", header);
        HOLDS(!parse_media_type_json(longer));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    void *mem = mem_request_new();
    const char *text = (const char *)data;
    check_numbers(mem, text, size);
    check_utf8(mem, text, size);
    check_percent(mem, text, size);
    check_headers(mem, mem_strndup(mem, text, size));
    talloc_free(mem);
    return 0;
}
