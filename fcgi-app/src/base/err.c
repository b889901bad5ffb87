// Looks up the columns of ERR_CODES.

#include "base/err.h"

#include <stddef.h>

struct err_row {
    int status;
    const char *slug;
    const char *title;
};

static const struct err_row rows[ERR__MAX] = {
#define ERR_ROW(code, status, slug, title) [code] = {status, slug, title},
    ERR_CODES(ERR_ROW)
#undef ERR_ROW
};

static const struct err_row *row_of(enum err_code code)
{
    return &rows[(unsigned)code < ERR__MAX ? code : ERR_INTERNAL];
}

struct err err_make(enum err_code code, const char *field, const char *detail)
{
    return (struct err){.code = code, .field = field, .detail = detail};
}

int err_status(enum err_code code)
{
    return row_of(code)->status;
}

const char *err_slug(enum err_code code)
{
    return row_of(code)->slug;
}

const char *err_title(enum err_code code)
{
    return row_of(code)->title;
}
