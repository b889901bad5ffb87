// The whole API on one screen: the modules' route tables, as dispatch_setup() takes them.
#pragma once

#include "http/router.h"

extern const struct route_table routes[];
