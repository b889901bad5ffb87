// carrito-seed fills the database with example carts.
//
// The carts are cut into batches; a few threads, each with a connection of its own, take
// the next batch until none is left. load.c says why that is safe beside a running
// service.

#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cart.h"
#include "catalogue.h"
#include "load.h"
#include "progress.h"

#define DEFAULT_CARTS 24
#define BATCH 1000    // carts; a transaction holds as many advisory locks
#define CONNECTIONS 2 // more only wait for each other at the end of the indexes

#define EXIT_USAGE 2
#define EXIT_INTERRUPTED 130

static const char usage[] =
    "usage: carrito-seed [--carts N | --catalogue]\n"
    "Puts example carts into the database that DATABASE_URL names: user101, user102 ...\n"
    "A cart that exists is left as it is, also when its user has emptied it.\n"
    "  --carts N    how many, 1 to 1000000 (24 when left out)\n"
    "  --catalogue  print the products that carts are filled with, a JSON object a line\n"
    "  --help       show this\n";

static atomic_bool stop; // set by Ctrl-C and by a thread that fails

static struct {
    const char *conninfo;
    unsigned carts;
    atomic_uint next; // the batch that is taken next

    pthread_mutex_t lock; // for all that follows
    pthread_cond_t changed;
    unsigned running; // threads
    unsigned done;    // carts looked at
    unsigned inserted;
    unsigned long lines;
    char *failure; // the first one
} job = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void fail(const char *message)
{
    atomic_store(&stop, true);
    pthread_mutex_lock(&job.lock);
    if (job.failure == NULL)
        job.failure = strdup(message);
    pthread_mutex_unlock(&job.lock);
}

// Inserts the next batch; false when there is none or it failed.
static bool work_once(struct loader *loader)
{
    unsigned first = 1 + atomic_fetch_add(&job.next, 1) * BATCH;
    struct load_count count;
    unsigned size;

    if (first > job.carts || atomic_load(&stop))
        return false;
    size = job.carts - first + 1 < BATCH ? job.carts - first + 1 : BATCH;
    if (!loader_insert(loader, first, size, &count))
        return false;
    pthread_mutex_lock(&job.lock);
    job.done += size;
    job.inserted += count.inserted;
    job.lines += count.lines;
    pthread_mutex_unlock(&job.lock);
    return true;
}

static void *work(void *unused)
{
    struct loader *loader = loader_open(job.conninfo);

    (void)unused;
    if (loader == NULL) {
        fail("out of memory");
    } else {
        while (loader_failed(loader) == NULL && work_once(loader))
            continue;
        if (loader_failed(loader) != NULL)
            fail(loader_failed(loader));
    }
    loader_close(loader);

    pthread_mutex_lock(&job.lock);
    job.running--;
    pthread_cond_signal(&job.changed);
    pthread_mutex_unlock(&job.lock);
    return NULL;
}

static void watch(double began)
{
    pthread_mutex_lock(&job.lock);
    while (job.running > 0) {
        struct timespec until;

        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += 100000000;
        if (until.tv_nsec >= 1000000000) {
            until.tv_sec++;
            until.tv_nsec -= 1000000000;
        }
        pthread_cond_timedwait(&job.changed, &job.lock, &until);
        progress_show(job.done, job.carts, began);
    }
    pthread_mutex_unlock(&job.lock);
    progress_end();
}

static void run_threads(double began)
{
    unsigned batches = (job.carts + BATCH - 1) / BATCH;
    unsigned wanted = batches < CONNECTIONS ? batches : CONNECTIONS;
    pthread_t thread[CONNECTIONS];
    unsigned started = 0;

    job.running = wanted;
    while (started < wanted && pthread_create(&thread[started], NULL, work, NULL) == 0)
        started++;
    if (started < wanted) {
        fail("cannot start a thread");
        pthread_mutex_lock(&job.lock);
        job.running -= wanted - started;
        pthread_mutex_unlock(&job.lock);
    }
    watch(began);
    while (started > 0)
        pthread_join(thread[--started], NULL);
}

// Batches leave deltas behind; when many carts came, nobody should have to wait for them.
static void fold(void)
{
    struct loader *loader = loader_open(job.conninfo);

    if (loader == NULL)
        fail("out of memory");
    else if (loader_failed(loader) != NULL || !loader_fold(loader))
        fail(loader_failed(loader));
    loader_close(loader);
}

// The signal's default action is back after the first one: a second Ctrl-C does not wait
// for the batches that are under way.
static void on_interrupt(int number)
{
    (void)number;
    atomic_store(&stop, true);
}

static bool parse_carts(const char *text, unsigned *out)
{
    char *end;
    unsigned long carts;

    errno = 0;
    carts = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || carts < 1 ||
        carts > CART_MAX_NUMBER)
        return false;
    *out = (unsigned)carts;
    return true;
}

// The names hold nothing that JSON would want escaped: neither '"' nor '\\'.
static void print_catalogue(void)
{
    const struct product *product;

    catalogue_build();
    for (size_t n = 0; (product = catalogue_at(n)) != NULL; n++)
        printf("{\"product_id\":%u,\"name\":\"%s\",\"price\":%u.%02u}\n", product->id,
               product->name, product->price / 100, product->price % 100);
}

// Returns -1 to go on, else the exit code.
static int parse_arguments(int argc, char **argv)
{
    static const struct option options[] = {{"carts", required_argument, NULL, 'c'},
                                            {"catalogue", no_argument, NULL, 'p'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    int option;

    job.carts = DEFAULT_CARTS;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'h') {
            fputs(usage, stdout);
            return EXIT_SUCCESS;
        }
        if (option == 'p') {
            print_catalogue();
            return EXIT_SUCCESS;
        }
        if (option != 'c') {
            fputs(usage, stderr);
            return EXIT_USAGE;
        }
        if (!parse_carts(optarg, &job.carts)) {
            fprintf(stderr,
                    "carrito-seed: --carts takes a number from 1 to %d, not \"%s\"\n",
                    CART_MAX_NUMBER, optarg);
            return EXIT_USAGE;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "carrito-seed: unexpected argument \"%s\"\n", argv[optind]);
        return EXIT_USAGE;
    }
    return -1;
}

int main(int argc, char **argv)
{
    struct sigaction interrupt = {.sa_handler = on_interrupt,
                                  .sa_flags = (int)SA_RESETHAND};
    int code = parse_arguments(argc, argv);
    double began, spent;

    if (code >= 0)
        return code;
    job.conninfo = getenv("DATABASE_URL");
    if (job.conninfo == NULL || job.conninfo[0] == '\0') {
        fputs("carrito-seed: DATABASE_URL is not set: it says which database to fill\n",
              stderr);
        return EXIT_USAGE;
    }
    sigaction(SIGINT, &interrupt, NULL);
    sigaction(SIGTERM, &interrupt, NULL);
    catalogue_build();

    began = progress_clock();
    run_threads(began);
    if (!atomic_load(&stop) && job.inserted > 0)
        fold();
    spent = progress_clock() - began;

    printf("%u carts inserted with %lu items, %u existed, %.2f s, %.0f carts/s\n",
           job.inserted, job.lines, job.done - job.inserted, spent, job.done / spent);
    if (job.failure != NULL) {
        fprintf(stderr, "carrito-seed: %s\n", job.failure);
        return EXIT_FAILURE;
    }
    if (atomic_load(&stop)) {
        fprintf(
            stderr,
            "carrito-seed: interrupted after %u of %u carts; run it again for the rest\n",
            job.done, job.carts);
        return EXIT_INTERRUPTED;
    }
    return EXIT_SUCCESS;
}
