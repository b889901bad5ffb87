// The contents of a seed cart. Each cart has a random stream of its own, so cart 7 is the
// same cart whether 24 are made or a million.

#include "cart.h"

#include <stdio.h>
#include <stdlib.h>

#define SEED UINT64_C(0x43617272697465)
#define FIRST_USER 101 // so the default carts are user101 to user124
#define DAYS 30        // the oldest: carts unused for long are removed

// SplitMix64 (Steele, Lea and Flood, 2014).
static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint64_t next(uint64_t *state)
{
    *state += UINT64_C(0x9e3779b97f4a7c15);
    return mix(*state);
}

static unsigned between(uint64_t *state, unsigned low, unsigned high)
{
    return low + (unsigned)(((next(state) >> 32) * (high - low + 1)) >> 32);
}

static int cart_holds(const struct cart *cart, const struct product *product)
{
    for (unsigned i = 0; i < cart->lines; i++) {
        if (cart->line[i].product == product)
            return 1;
    }
    return 0;
}

void cart_make(unsigned number, struct cart *out)
{
    // Mixed once more: states that lie a few steps apart would give overlapping streams.
    uint64_t state = mix(SEED ^ number);
    unsigned lines = between(&state, CART_MIN_LINES, CART_MAX_LINES);

    out->number = number;
    out->age = between(&state, 0, DAYS * 86400 - 1);
    out->lines = 0;
    while (out->lines < lines) {
        const struct product *product = catalogue_pick(next(&state));
        if (cart_holds(out, product))
            continue;
        out->line[out->lines].product = product;
        out->line[out->lines].quantity = between(&state, 1, CART_MAX_QUANTITY);
        out->lines++;
    }
}

unsigned cart_number(const char *user_id)
{
    return (unsigned)strtoul(user_id + sizeof "user" - 1, NULL, 10) - FIRST_USER + 1;
}

void cart_user(unsigned number, char out[CART_USER_SIZE])
{
    snprintf(out, CART_USER_SIZE, "user%u", FIRST_USER + number - 1);
}
