// JSON bodies, read by a table of fields.

#include "http/body.h"

#include <json-c/json.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/money.h"
#include "base/parse.h"

// Faults in the order in which they were found; no more than this many are told.
#define FAULTS_MAX 20

struct faults {
    void *mem;
    size_t n;
    struct err first;
    struct err *last;
};

// RFC 6901: ~ and / are written ~0 and ~1.
static const char *pointer_to(void *mem, const char *name)
{
    struct buf b;
    buf_init(&b, mem, strlen(name) + 8);
    buf_add_char(&b, '/');
    for (; *name; name++) {
        if (*name == '~')
            buf_add_str(&b, "~0");
        else if (*name == '/')
            buf_add_str(&b, "~1");
        else
            buf_add_char(&b, *name);
    }
    return b.data;
}

static void add_fault(struct faults *faults, enum err_code code, const char *name,
                      const char *detail)
{
    if (faults->n++ >= FAULTS_MAX)
        return;
    struct err fault = err_make(code, pointer_to(faults->mem, name), detail);
    if (faults->n == 1) {
        faults->first = fault;
        faults->last = &faults->first;
        return;
    }
    struct err *next = mem_new(faults->mem, struct err);
    *next = fault;
    faults->last->next = next;
    faults->last = next;
}

static bool read_number(struct json_object *json, enum body_type type, int64_t *number)
{
    const char *text = json_object_get_string(json);
    if (type == BODY_MONEY)
        return money_parse(text, strlen(text), number);
    if (!json_object_is_type(json, json_type_int))
        return false;
    *number = json_object_get_int64(json); // clamped, far outside of any range here
    return true;
}

static bool read_value(void *mem, struct json_object *json,
                       const struct body_field *field, struct body_value *value)
{
    if (field->type == BODY_STRING) {
        if (!json_object_is_type(json, json_type_string))
            return false;
        size_t len = (size_t)json_object_get_string_len(json), chars;
        const char *text = json_object_get_string(json);
        bool control;
        if (!parse_utf8(text, len, &chars, &control) || control ||
            chars < (size_t)field->min || chars > (size_t)field->max)
            return false;
        value->text = mem_strndup(mem, text, len);
    } else {
        if (!json_object_is_type(json, json_type_int) &&
            !json_object_is_type(json, json_type_double))
            return false;
        int64_t number;
        if (!read_number(json, field->type, &number) || number < field->min ||
            number > field->max)
            return false;
        value->number = number;
    }
    value->present = true;
    return true;
}

static const struct body_field *find_field(const struct body_field *fields, size_t n,
                                           const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(fields[i].name, name) == 0)
            return &fields[i];
    return NULL;
}

struct err body_parse(void *mem, const char *text, size_t len,
                      const struct body_field *fields, size_t n,
                      struct body_value *values)
{
    struct json_object *root;
    struct err err = json_parse(mem, text, len, &root);
    if (err_is(err))
        return err;
    if (!json_object_is_type(root, json_type_object))
        return err_make(ERR_BODY_NOT_OBJECT, NULL, "the body must be a JSON object");

    struct faults faults = {.mem = mem};
    struct body_value read[BODY_FIELDS_MAX] = {0};
    for (size_t i = 0; i < n; i++) {
        struct json_object *json;
        if (!json_object_object_get_ex(root, fields[i].name, &json)) {
            if (!fields[i].optional)
                add_fault(&faults, ERR_MISSING_FIELD, fields[i].name,
                          "the field is missing");
        } else if (!read_value(mem, json, &fields[i], &read[i])) {
            add_fault(&faults, fields[i].code, fields[i].name, fields[i].detail);
        }
    }
    json_object_object_foreach(root, name, ignored)
    {
        (void)ignored;
        if (!find_field(fields, n, name))
            add_fault(&faults, ERR_UNKNOWN_FIELD, name, "there is no such field");
    }
    if (faults.n)
        return faults.first;
    memcpy(values, read, n * sizeof *read);
    return err_ok();
}
