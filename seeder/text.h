// A text that grows as it is written to. Running out of memory ends the program.
#pragma once

#include <stddef.h>
#include <stdint.h>

struct text {
    char *data; // ends in '\0' once something has been written
    size_t length, size;
};

void text_clear(struct text *text);
void text_free(struct text *text);
void text_add(struct text *text, const char *string);
void text_add_char(struct text *text, char c);
void text_add_number(struct text *text, uint64_t number);
