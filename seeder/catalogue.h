// The shop's catalogue: which products there are, what they cost, how popular they are.
#pragma once

#include <stddef.h>
#include <stdint.h>

struct product {
    unsigned id;
    unsigned price; // in cents
    char
        name[96]; // UTF-8, without tab, newline or backslash: COPY text takes it as it is
};

// Builds the catalogue; call it once, before any thread reads it.
void catalogue_build(void);

// The product that a random number picks: a popular one more often than the others.
const struct product *catalogue_pick(uint64_t random);

// The products one by one, in the order of their ids, from n = 0; NULL behind the last.
const struct product *catalogue_at(size_t n);
