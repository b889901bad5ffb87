// The routes of operators: health and metrics.
#pragma once

#include "http/router.h"

extern const struct route health_routes[];
