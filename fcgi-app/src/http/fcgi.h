// FastCGI: connections from nginx on the listening socket, and a coroutine per request.
#pragma once

#include "base/config.h"

// Accepts connections on fd, a listening socket, and hands each request to dispatch().
// After loop_init(), dispatch_setup().
void fcgi_listen(int fd, const struct config *config);

// Accepts no more connections. What comes on those there are is answered until their
// peers have closed them, as nginx does within 0.6 s, or after five seconds until each is
// at rest; then the loop is stopped. After ten seconds it is stopped in any case.
void fcgi_drain(void);
