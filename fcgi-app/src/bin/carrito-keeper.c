// carrito-keeper: one per host beside the FastCGI program. multiwatch runs it and starts
// another when it dies; two at once do no harm.

#include <ev.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/config.h"
#include "base/log.h"
#include "base/metrics.h"
#include "data/redis.h"
#include "keeper/keeper.h"
#include "loop/loop.h"
#include "setup.h"

// Its own use of PostgreSQL: one question at a time, and one sweep.
#define READ_POOL 1
#define WRITE_POOL 1

// A node that was promoted, or is back, is to be found sooner than by a request.
#define RETRY_MS 100

static void on_signal(struct ev_loop *loop, ev_signal *watcher, int events)
{
    (void)loop;
    (void)events;
    log_event(LOG_INFO, "stopping", LOG_INT("signal", watcher->signum));
    loop_stop();
}

static void stop_on(ev_signal *watcher, int signum)
{
    ev_signal_init(watcher, on_signal, signum);
    ev_signal_start(loop_ev(), watcher);
}

static int usage(FILE *out, int status)
{
    fputs("usage: carrito-keeper [--check-config | --help]\n"
          "  --check-config  say what is wrong with the settings\n"
          "Settings come from the environment: those of carrito-fcgi.\n",
          out);
    return status;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--help") == 0)
        return usage(stdout, 0);
    bool check_only = argc == 2 && strcmp(argv[1], "--check-config") == 0;
    if (argc != 1 && !check_only)
        return usage(stderr, 2);

    static struct config config; // outlives everything that was given a pointer to it
    if (!config_load(NULL, environ, &config, stderr))
        return 1;
    if (check_only)
        return 0;
    config.pg_read_pool = READ_POOL;
    config.pg_write_pool = WRITE_POOL;
    if (config.redis_retry_ms > RETRY_MS)
        config.redis_retry_ms = RETRY_MS;
    log_set_level(config.log_level);
    loop_init();
    setup_all(&config);
    struct err err = metrics_open(config.metrics_file);
    if (err_is(err)) {
        fprintf(stderr, "carrito-keeper: METRICS_FILE=%s: %s\n", config.metrics_file,
                err.detail);
        return 1;
    }
    // Nothing is under way that a stop could leave half done.
    ev_signal on_term, on_int, on_quit;
    stop_on(&on_term, SIGTERM);
    stop_on(&on_int, SIGINT);
    stop_on(&on_quit, SIGQUIT); // multiwatch 1.0.0 sends it when told to use SIGTERM
    signal(SIGPIPE, SIG_IGN);
    if (config.cache)
        redis_start();
    keeper_start();
    log_event(LOG_INFO, "started", LOG_STR("cache", config.cache ? "on" : "off"),
              LOG_INT("sentinels", (int64_t)config.n_redis_sentinels));
    loop_run();
    log_event(LOG_INFO, "stopped");
    return 0;
}
