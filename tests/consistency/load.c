// The load: reads and writes of a few hot carts through the web server, in one thread,
// and the history of what was answered, for `check` to judge.
//
// usage: load --address IP:PORT --seconds S --carts N --readers R --writers W --out FILE
//             [--prefix P] [--rate N] [--think-us N] [--cart-writes N] [--seed N]
//             [--progress]
//
// Every write adds one unit to a cart whose name begins with the prefix, which nobody may
// have used before: so in each version of each cart item_count is the version. --rate is
// for all connections together; without it, each asks again as soon as it is answered, or
// --think-us later. Both are kept in steps of a millisecond.
// Ends after S seconds (0: never) or at SIGTERM or SIGINT, waits for what is under way,
// and prints one line of totals.

#include <arpa/inet.h>
#include <ctype.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "load_worker.h"

#define TICK (100 * MS) // progress, the end, late answers
#define DRAIN_WITHIN (12 * SECOND)
#define EVENTS 128

struct options {
    const char *address, *out, *prefix;
    double seconds;
    long carts, readers, writers, rate, think_us, cart_writes, seed;
    bool progress;
};

struct loop {
    struct load load;
    struct worker *workers;
    size_t n_workers;
    int signals;
    int64_t begin_ns, end_ns; // end: no operation begins later; then: of the drain
    int64_t next_due_ns;      // when the first worker's time comes; may be too early
    bool progress;
};

// Options

static void fail(const char *what)
{
    fprintf(stderr, "load: %s\n", what);
    exit(2);
}

static long number(const char *text, const char *name, long min, long max)
{
    char *end;
    long value = strtol(text, &end, 10);
    if (end == text || *end || value < min || value > max) {
        fprintf(stderr, "load: --%s: a number from %ld to %ld\n", name, min, max);
        exit(2);
    }
    return value;
}

static double seconds(const char *text)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !(value >= 0 && value <= 1e7))
        fail("--seconds: a number from 0 to 10000000");
    return value;
}

static void read_options(int argc, char **argv, struct options *options)
{
    const struct {
        const char *name;
        long *value, min, max;
    } numbers[] = {
        {"carts", &options->carts, 1, 100000},
        {"readers", &options->readers, 0, 1000},
        {"writers", &options->writers, 0, 1000},
        {"rate", &options->rate, 0, 1000000},
        {"think-us", &options->think_us, 0, 60000000},
        {"cart-writes", &options->cart_writes, 1, CART_WRITES_MAX},
        {"seed", &options->seed, 0, 1000000000},
    };
    enum { N = sizeof numbers / sizeof *numbers };
    const struct option longs[] = {
        {"carts", 1, 0, 0},
        {"readers", 1, 0, 1},
        {"writers", 1, 0, 2},
        {"rate", 1, 0, 3},
        {"think-us", 1, 0, 4},
        {"cart-writes", 1, 0, 5},
        {"seed", 1, 0, 6},
        {"address", 1, 0, 'a'},
        {"out", 1, 0, 'o'},
        {"prefix", 1, 0, 'p'},
        {"progress", 0, 0, 'g'},
        {"seconds", 1, 0, 's'},
        {0},
    };
    for (int found; (found = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
        if (found >= 0 && found < N)
            *numbers[found].value = number(optarg, numbers[found].name,
                                           numbers[found].min, numbers[found].max);
        else if (found == 'a')
            options->address = optarg;
        else if (found == 'o')
            options->out = optarg;
        else if (found == 'p')
            options->prefix = optarg;
        else if (found == 's')
            options->seconds = seconds(optarg);
        else if (found == 'g')
            options->progress = true;
        else
            exit(2);
    }
    if (optind < argc || !options->address || !options->out)
        fail("needs --address and --out, and takes no other words");
    if (options->readers + options->writers == 0)
        fail("needs readers or writers");
}

static struct sockaddr_in parse_address(const char *text)
{
    struct sockaddr_in to = {.sin_family = AF_INET};
    char host[64];
    const char *colon = strrchr(text, ':');
    if (!colon || (size_t)(colon - text) >= sizeof host)
        fail("--address: IP:PORT");
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = '\0';
    if (inet_pton(AF_INET, host, &to.sin_addr) != 1)
        fail("--address: IP:PORT");
    to.sin_port = htons((uint16_t)number(colon + 1, "address", 1, 65535));
    return to;
}

static const char *check_prefix(const char *prefix)
{
    static char own[32];
    if (!prefix) {
        snprintf(own, sizeof own, "load%lx%lx", (long)time(NULL), (long)getpid());
        return own;
    }
    for (const char *p = prefix; *p; p++)
        if (!isalnum((unsigned char)*p) && !strchr("._-", *p))
            fail("--prefix: of A-Z a-z 0-9 . _ -");
    if (!*prefix || strlen(prefix) > PREFIX_MAX)
        fail("--prefix: 1 to 40 characters");
    return prefix;
}

// The loop

static void watch(const struct loop *loop, int fd, void *ptr)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = ptr};
    if (fd < 0 || epoll_ctl(loop->load.epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        fail("cannot set up the loop");
}

static void set_up(struct loop *loop, const struct options *options)
{
    struct load *load = &loop->load;
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    load->epoll = epoll_create1(EPOLL_CLOEXEC);
    loop->signals = signalfd(-1, &signals, SFD_CLOEXEC);
    watch(loop, loop->signals, &loop->signals);
    load->to = parse_address(options->address);
    load->prefix = check_prefix(options->prefix);
    load->n_carts = (unsigned)options->carts;
    load->cart_writes = (unsigned)options->cart_writes;
    load->carts = calloc(load->n_carts, sizeof *load->carts);
    for (; load->carts && load->next_cart < load->n_carts; load->next_cart++)
        load->carts[load->next_cart].number = load->next_cart;
    load->random = (uint64_t)(options->seed + 1) * 0x9e3779b97f4a7c15ULL;
    load->think_ns = options->think_us * 1000;
    loop->n_workers = (size_t)(options->readers + options->writers);
    if (options->rate > 0)
        load->interval_ns = (int64_t)loop->n_workers * SECOND / options->rate;
    loop->workers = calloc(loop->n_workers, sizeof *loop->workers);
    if (!loop->workers || !load->carts)
        fail("out of memory");
    loop->progress = options->progress;
    loop->begin_ns = clock_ns();
    loop->end_ns = INT64_MAX;
    if (options->seconds > 0)
        loop->end_ns = loop->begin_ns + (int64_t)(options->seconds * 1e9);
    for (size_t i = 0; i < loop->n_workers; i++) // spread over the first interval
        if (!worker_init(&loop->workers[i], load, i < (size_t)options->writers,
                         loop->begin_ns +
                             load->interval_ns * (int64_t)i / (int64_t)loop->n_workers))
            fail("out of memory");
    if (!history_open(&load->history, options->out))
        fail("cannot write --out");
}

// Does what is due. An answer that is late may be noticed a tick later than it could be:
// so that not each request moves the time of the next look.
static void run_due(struct loop *loop, int64_t now)
{
    int64_t next = now + TICK;
    for (size_t i = 0; i < loop->n_workers; i++) {
        struct worker *worker = &loop->workers[i];
        if (worker->due_ns <= now)
            worker_due(worker, now);
        if (worker->state != WORKER_ENDED && worker->due_ns < next)
            next = worker->due_ns;
    }
    loop->next_due_ns = next;
}

static void stop_issuing(struct loop *loop, int64_t now)
{
    loop->load.ending = true;
    loop->end_ns = now + DRAIN_WITHIN;
    for (size_t i = 0; i < loop->n_workers; i++)
        if (loop->workers[i].state == WORKER_RESTS)
            loop->workers[i].state = WORKER_ENDED;
}

static bool all_ended(const struct loop *loop)
{
    for (size_t i = 0; i < loop->n_workers; i++)
        if (loop->workers[i].state != WORKER_ENDED)
            return false;
    return true;
}

static void show_progress(const struct loop *loop, int64_t now)
{
    static int64_t shown_ns;
    static unsigned long shown;
    const struct load *load = &loop->load;
    if (!loop->progress || now - shown_ns < SECOND)
        return;
    if (shown_ns > 0)
        fprintf(stderr,
                "load: %.0f s, %.0f requests/s, %lu hits of %lu reads, %lu writes\n",
                (double)(now - loop->begin_ns) / 1e9,
                (double)(load->requests - shown) * 1e9 / (double)(now - shown_ns),
                load->hits, load->reads, load->writes);
    shown_ns = now;
    shown = load->requests;
}

// A worker that has come to rest between two ticks may want to go on before the next.
static void note_due(struct loop *loop, const struct worker *worker)
{
    if ((worker->state == WORKER_RESTS || worker->state == WORKER_REPEATS) &&
        worker->due_ns < loop->next_due_ns)
        loop->next_due_ns = worker->due_ns;
}

static void run_event(struct loop *loop, const struct epoll_event *event)
{
    struct signalfd_siginfo drop;
    if (event->data.ptr == &loop->signals) {
        if (read(loop->signals, &drop, sizeof drop) > 0 && !loop->load.ending)
            stop_issuing(loop, clock_ns());
    } else {
        worker_event(event->data.ptr, event->events);
        note_due(loop, event->data.ptr);
    }
}

static void run(struct loop *loop)
{
    struct epoll_event events[EVENTS];
    for (;;) {
        int64_t now = clock_ns();
        if (now >= loop->next_due_ns) {
            run_due(loop, now);
            show_progress(loop, now);
        }
        if (now >= loop->end_ns && loop->load.ending)
            return;
        if (now >= loop->end_ns)
            stop_issuing(loop, now);
        if (loop->load.ending && all_ended(loop))
            return;
        int64_t rest_ms = (loop->next_due_ns - now + MS - 1) / MS;
        int n =
            epoll_wait(loop->load.epoll, events, EVENTS, rest_ms > 0 ? (int)rest_ms : 0);
        for (int i = 0; i < n; i++)
            run_event(loop, &events[i]);
    }
}

static void print_totals(const struct load *load, double seconds)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    double cpu = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                 (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
    printf("operations=%lu reads=%lu writes=%lu hits=%lu requests=%lu seconds=%.3f "
           "requests_per_s=%.0f cpu_us_per_request=%.2f repeated=%lu malformed=%lu",
           load->reads + load->writes, load->reads, load->writes, load->hits,
           load->requests, seconds, (double)load->requests / seconds,
           load->requests > 0 ? cpu * 1e6 / (double)load->requests : 0., load->repeated,
           load->malformed);
    for (int status = 0; status < 1000; status++)
        if (load->by_status[status] > 0)
            printf(" status_%d=%lu", status, load->by_status[status]);
    puts("");
}

int main(int argc, char **argv)
{
    struct options options = {.seconds = 10,
                              .carts = 100,
                              .readers = 24,
                              .writers = 4,
                              .cart_writes = 20000,
                              .seed = (long)time(NULL) % 1000000000};
    static struct loop loop;
    read_options(argc, argv, &options);
    set_up(&loop, &options);
    run(&loop);
    for (size_t i = 0; i < loop.n_workers; i++)
        worker_abandon(&loop.workers[i]);
    double seconds = (double)(clock_ns() - loop.begin_ns) / 1e9;
    bool written = history_close(&loop.load.history) && !loop.load.history_failed;
    print_totals(&loop.load, seconds);
    for (size_t i = 0; i < loop.n_workers; i++)
        free(loop.workers[i].conn.buf);
    free(loop.workers);
    free(loop.load.carts);
    if (!written)
        fail("the history could not be written");
    return 0;
}
