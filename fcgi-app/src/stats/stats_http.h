// The routes of statistics.
#pragma once

#include "http/router.h"

extern const struct route stats_routes[];
