// Stopping at a named step, in test builds.

#include "base/step.h"

#ifdef CARRITO_STEPS

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void step_reached(const char *name)
{
    char path[512];
    const char *dir = getenv("CARRITO_STEPS_DIR");
    if (!dir)
        return;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    if (access(path, F_OK) == 0 && unlink(path) == 0)
        raise(SIGSTOP);
}

#else

extern int step_unused; // ISO C wants something in every file

#endif
