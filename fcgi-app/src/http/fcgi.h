// FastCGI: connections from nginx on the listening socket, and a coroutine per request.
#pragma once

#include "base/config.h"

// Accepts connections on fd, a listening socket, and hands each request to dispatch().
// After loop_init(), dispatch_setup().
void fcgi_listen(int fd, const struct config *config);

// Accepts no more connections and closes those at rest. Requests in work are finished,
// then the loop is stopped; after ten seconds it is stopped in any case.
void fcgi_drain(void);
