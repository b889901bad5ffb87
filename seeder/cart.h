// What each seed cart holds: a function of its number alone.
#pragma once

#include <stdint.h>

#include "catalogue.h"

#define CART_MIN_LINES 3
#define CART_MAX_LINES 10
#define CART_MAX_QUANTITY 5
#define CART_MAX_NUMBER 1000000

struct cart_line {
    const struct product *product;
    unsigned quantity;
};

struct cart {
    unsigned number; // from 1; its user is user<100 + number>
    unsigned lines;
    struct cart_line line[CART_MAX_LINES];
    unsigned age; // seconds since it was last changed
};

// The cart of this number, the same in every run, whatever other carts are made.
void cart_make(unsigned number, struct cart *out);

// The number that a cart's user_id carries, and the way back.
#define CART_USER_SIZE 16
unsigned cart_number(const char *user_id);
void cart_user(unsigned number, char out[CART_USER_SIZE]);
