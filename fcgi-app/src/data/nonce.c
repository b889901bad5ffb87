// A random number per process, and a count.

#include "data/nonce.h"

#include <stdint.h>
#include <stdio.h>
#include <sys/random.h>

#include "base/clock.h"

static uint64_t process, count;

void nonce_setup(void)
{
    if (getrandom(&process, sizeof process, 0) != sizeof process)
        process = (uint64_t)clock_boot_ns();
}

void nonce_put(char out[NONCE_MAX], char kind)
{
    snprintf(out, NONCE_MAX, "%c %016llx%llx", kind, (unsigned long long)process,
             (unsigned long long)count++);
}
