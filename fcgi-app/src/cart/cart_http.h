// The cart's routes.
#pragma once

#include "http/router.h"

extern const struct route cart_routes[];
