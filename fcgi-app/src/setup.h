// What every program of the service sets up in the same way.
//
// Processes that share a file of metrics must register the same ones in the same order,
// so it is one function for all of them.
#pragma once

#include "base/config.h"

// Registers all statements, scripts, metrics and routes. After loop_init(), before
// metrics_open(). The configuration must outlive all use.
void setup_all(const struct config *config);
