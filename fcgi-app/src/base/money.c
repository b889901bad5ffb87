// Cents from and to decimal text.

#include "base/money.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool money_parse(const char *text, size_t len, int64_t *cents)
{
    const char *p = text;
    const char *end = text + len;
    bool negative = p < end && *p == '-';
    p += negative;
    if (p == end || !is_digit(*p) || (*p == '0' && end - p > 1 && is_digit(p[1])))
        return false;

    int64_t value = 0;
    for (; p < end && is_digit(*p); p++) {
        value = value * 10 + (*p - '0');
        if (value > MONEY_CENTS_MAX / 100)
            return false;
    }
    value *= 100;
    if (p < end) {
        ptrdiff_t decimals = end - p - 1;
        if (*p != '.' || decimals < 1 || decimals > 2 || !is_digit(p[1]))
            return false;
        if (decimals == 2 && !is_digit(p[2]))
            return false;
        value += (p[1] - '0') * 10 + (decimals == 2 ? p[2] - '0' : 0);
    }
    if (value > MONEY_CENTS_MAX)
        return false;
    *cents = negative ? -value : value;
    return true;
}

void money_put(struct buf *b, int64_t cents)
{
    uint64_t value = cents < 0 ? -(uint64_t)cents : (uint64_t)cents;
    if (cents < 0)
        buf_add_char(b, '-');
    buf_add_int(b, (int64_t)(value / 100));
    buf_add_char(b, '.');
    buf_add_char(b, (char)('0' + value / 10 % 10));
    buf_add_char(b, (char)('0' + value % 10));
}
