// carrito-fcgi: the FastCGI program. spawn-fcgi gives it the listening socket as
// descriptor 0; multiwatch runs one per core and starts another when one dies.

#include <ev.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <talloc.h>
#include <unistd.h>

#include "base/config.h"
#include "base/log.h"
#include "base/metrics.h"
#include "cart/cart_store.h"
#include "data/redis.h"
#include "http/fcgi.h"
#include "loop/loop.h"
#include "setup.h"
#include "stats/stats_store.h"

static void on_signal(struct ev_loop *loop, ev_signal *watcher, int events)
{
    (void)loop;
    (void)events;
    log_event(LOG_INFO, "draining", LOG_INT("signal", watcher->signum));
    fcgi_drain();
}

static void drain_on(ev_signal *watcher, int signum)
{
    ev_signal_init(watcher, on_signal, signum);
    ev_signal_start(loop_ev(), watcher);
}

// As many descriptors as the system lets this process have: the usual soft limit is less
// than nginx can open connections.
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static bool is_listening(int fd)
{
    int listening = 0;
    socklen_t len = sizeof listening;
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) == 0 && listening;
}

static int usage(FILE *out, int status)
{
    fputs("usage: carrito-fcgi [--check-config | --print-config-table | --help]\n"
          "  --check-config        say what is wrong with the settings\n"
          "  --print-config-table  the settings, as a Markdown table\n"
          "Started by spawn-fcgi, which gives it a listening socket as descriptor 0.\n"
          "Settings come from the environment.\n",
          out);
    return status;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--print-config-table") == 0) {
        config_print_table(stdout);
        return 0;
    }
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
    if (!is_listening(STDIN_FILENO)) {
        fputs("carrito-fcgi: descriptor 0 is not a listening socket: start it by "
              "spawn-fcgi\n",
              stderr);
        return 1;
    }
    log_set_level(config.log_level);
    raise_descriptor_limit();
    loop_init();
    setup_all(&config);
    struct err err = metrics_open(config.metrics_file);
    if (err_is(err)) {
        fprintf(stderr, "carrito-fcgi: METRICS_FILE=%s: %s\n", config.metrics_file,
                err.detail);
        return 1;
    }
    fcgi_listen(STDIN_FILENO, &config);
    // multiwatch 1.0.0 sends SIGQUIT when it is told to use SIGTERM.
    ev_signal on_term, on_int, on_quit;
    drain_on(&on_term, SIGTERM);
    drain_on(&on_int, SIGINT);
    drain_on(&on_quit, SIGQUIT);
    signal(SIGPIPE, SIG_IGN);
    if (config.cache)
        redis_start();
    cart_store_start();
    stats_store_start();
    log_event(LOG_INFO, "started", LOG_STR("cache", config.cache ? "on" : "off"));
    loop_run();
    log_event(LOG_INFO, "stopped");
    return 0;
}
