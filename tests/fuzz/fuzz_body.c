// A body is read whole or refused whole, and what is read obeys the table of fields.

#include "fuzz.h"

#include <stdbool.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/money.h"
#include "base/parse.h"
#include "http/body.h"

enum { ID, NAME, PRICE, QUANTITY, N_FIELDS };

static const struct body_field fields[N_FIELDS] = {
    [ID] = {"product_id", BODY_INTEGER, false, 1, INT32_MAX, ERR_INVALID_PRODUCT, "id"},
    [NAME] = {"name", BODY_STRING, false, 1, 200, ERR_INVALID_NAME, "name"},
    [PRICE] = {"price", BODY_MONEY, false, 1, 100000000, ERR_INVALID_PRICE, "price"},
    [QUANTITY] = {"quantity", BODY_INTEGER, true, 0, 999, ERR_INVALID_QUANTITY,
                  "quantity"},
};

static void check_values(const struct body_value *values)
{
    for (size_t i = 0; i < N_FIELDS; i++) {
        HOLDS(values[i].present || fields[i].optional);
        if (i != NAME && values[i].present)
            HOLDS(values[i].number >= fields[i].min && values[i].number <= fields[i].max);
    }
    size_t chars = 0;
    bool control = true;
    HOLDS(parse_utf8(values[NAME].text, strlen(values[NAME].text), &chars, &control));
    HOLDS(chars >= 1 && chars <= 200 && !control);
}

// What was read, written as a body, is read again as the same.
static void check_round_trip(void *mem, const struct body_value *values)
{
    struct body_value again[N_FIELDS];
    struct buf b;
    buf_init(&b, mem, 256);
    if (values[QUANTITY].present)
        buf_printf(&b, "{\"quantity\":%d,", (int)values[QUANTITY].number);
    else
        buf_add_char(&b, '{');
    buf_printf(&b, "\"product_id\":%d,\"price\":", (int)values[ID].number);
    money_put(&b, values[PRICE].number);
    buf_add_str(&b, ",\"name\":");
    json_put_string(&b, values[NAME].text, strlen(values[NAME].text));
    buf_add_char(&b, '}');
    HOLDS(!err_is(body_parse(mem, b.data, b.len, fields, N_FIELDS, again)));
    for (size_t i = 0; i < N_FIELDS; i++) {
        HOLDS(again[i].present == values[i].present);
        HOLDS(again[i].number == values[i].number);
    }
    HOLDS(strcmp(again[NAME].text, values[NAME].text) == 0);
}

// A fault of the text stands alone; faults of fields are chained, each with its pointer.
static void check_faults(const struct err *e)
{
    HOLDS(e->detail);
    if (err_status(e->code) == 400 || e->code == ERR_BODY_NOT_OBJECT) {
        HOLDS(!e->field && !e->next);
        return;
    }
    for (; e; e = e->next) {
        HOLDS(e->field && e->field[0] == '/' && e->detail);
        HOLDS(parse_utf8(e->field, strlen(e->field), NULL, NULL));
        bool of_field = false;
        for (size_t i = 0; i < N_FIELDS; i++) {
            of_field |= (e->code == fields[i].code || e->code == ERR_MISSING_FIELD) &&
                        strcmp(e->field + 1, fields[i].name) == 0;
        }
        HOLDS(of_field || e->code == ERR_UNKNOWN_FIELD);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    void *mem = mem_request_new();
    const char *text = (const char *)data;
    struct body_value values[N_FIELDS];
    memset(values, 0x5A, sizeof values);
    struct err e = body_parse(mem, text, size, fields, N_FIELDS, values);
    struct err checked = json_check(mem, text, size, JSON_DEPTH_MAX);
    HOLDS(!err_is(checked) || e.code == checked.code);
    if (err_is(e)) {
        check_faults(&e);
        for (size_t i = 0; i < sizeof values; i++)
            HOLDS(((const char *)values)[i] == 0x5A); // untouched
    } else {
        check_values(values);
        check_round_trip(mem, values);
    }
    talloc_free(mem);
    return 0;
}
