// The bar and the lines are only for people who wait: nothing is shown in the first
// second.

#include "progress.h"

#include <stdbool.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define BAR_WIDTH 40
#define BAR_EVERY_S 0.1
#define LINE_EVERY_S 5.0

static double shown_at;
static bool bar_is_up;

double progress_clock(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void show_bar(unsigned done, unsigned total, double rate)
{
    static const char full[] = "########################################";
    int filled = (int)((unsigned long)done * BAR_WIDTH / total);

    _Static_assert(sizeof full == BAR_WIDTH + 1, "the bar is as long as its pattern");
    fprintf(stderr, "\r[%-*.*s] %3lu %%  %u carts  %.0f/s  %.0f s left\033[K", BAR_WIDTH,
            filled, full, (unsigned long)done * 100 / total, done, rate,
            rate > 0 ? (total - done) / rate : 0);
    fflush(stderr);
    bar_is_up = true;
}

void progress_show(unsigned done, unsigned total, double began)
{
    bool terminal = isatty(STDERR_FILENO);
    double now = progress_clock(), spent = now - began;
    double last = shown_at > began ? shown_at : began;

    if (spent < 1 || now - last < (terminal ? BAR_EVERY_S : LINE_EVERY_S))
        return;
    shown_at = now;
    if (terminal)
        show_bar(done, total, done / spent);
    else
        fprintf(stderr, "carrito-seed: %u of %u carts, %.0f a second\n", done, total,
                done / spent);
}

void progress_end(void)
{
    if (bar_is_up)
        fputs("\r\033[K", stderr);
    bar_is_up = false;
}
