// What json_check accepts json-c parses, and writes again as JSON; what json_put_string
// writes is JSON, whatever it is given.

#include "fuzz.h"

#include <json-c/json.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"

static void check_text(void *mem, const char *text, size_t size)
{
    struct json_object *root = NULL;
    struct err checked = json_check(mem, text, size, JSON_DEPTH_MAX);
    struct err parsed = json_parse(mem, text, size, &root);
    HOLDS(checked.code == parsed.code);
    if (err_is(checked)) {
        HOLDS(checked.detail && strcmp(checked.detail, parsed.detail) == 0);
        return;
    }
    size_t len;
    const char *again =
        json_object_to_json_string_length(root, JSON_C_TO_STRING_PLAIN, &len);
    HOLDS(!err_is(json_check(mem, again, len, JSON_DEPTH_MAX)));
    HOLDS(!err_is(json_check(mem, text, size, 1000)));
}

static void check_string(void *mem, const char *bytes, size_t size)
{
    struct buf b;
    buf_init(&b, mem, 0);
    json_put_string(&b, bytes, size);
    struct err e = json_check(mem, b.data, b.len, 0);
    // A NUL is written as an escape that our own reader refuses.
    HOLDS(e.code == (memchr(bytes, 0, size) ? ERR_INVALID_JSON : ERR_NONE));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    void *mem = mem_request_new();
    check_text(mem, (const char *)data, size);
    check_string(mem, (const char *)data, size);
    talloc_free(mem);
    return 0;
}
