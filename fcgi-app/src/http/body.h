// JSON bodies: a table of fields drives the check and the reading.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum body_type {
    BODY_INTEGER, // without fraction or exponent, min to max
    BODY_MONEY,   // at most two decimals, min to max cents
    BODY_STRING   // min to max code points of UTF-8 without control characters
};

struct body_field {
    const char *name;
    enum body_type type;
    bool optional;
    int64_t min, max;
    enum err_code code; // of a value of the wrong type or range
    const char *detail; // what is allowed
};

struct body_value {
    bool present;
    int64_t number;   // BODY_INTEGER, BODY_MONEY (cents)
    const char *text; // BODY_STRING, NUL-terminated, on mem
};

#define BODY_FIELDS_MAX 8

// Reads the object in text into values[i] for fields[i]; n is at most BODY_FIELDS_MAX.
// Errors: those of json_parse(); ERR_BODY_NOT_OBJECT; and all faults of fields together,
// chained by next: the fields' own codes, ERR_MISSING_FIELD, ERR_UNKNOWN_FIELD.
struct err body_parse(void *mem, const char *text, size_t len,
                      const struct body_field *fields, size_t n,
                      struct body_value *values) must_check;
