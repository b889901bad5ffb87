// Plain appending: seven million lines are written through this, too many for printf.

#include "text.h"

#include <stdlib.h>
#include <string.h>

static void add_bytes(struct text *text, const char *bytes, size_t length)
{
    if (text->length + length >= text->size) {
        text->size = (text->length + length) * 2 + 1;
        text->data = realloc(text->data, text->size);
        if (text->data == NULL)
            abort();
    }
    memcpy(text->data + text->length, bytes, length);
    text->length += length;
    text->data[text->length] = '\0';
}

void text_clear(struct text *text)
{
    text->length = 0;
}

void text_free(struct text *text)
{
    free(text->data);
    *text = (struct text){0};
}

void text_add(struct text *text, const char *string)
{
    add_bytes(text, string, strlen(string));
}

void text_add_char(struct text *text, char c)
{
    add_bytes(text, &c, 1);
}

void text_add_number(struct text *text, uint64_t number)
{
    char digits[20];
    size_t at = sizeof digits;

    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    add_bytes(text, digits + at, sizeof digits - at);
}
