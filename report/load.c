// A load at a fixed arrival rate: requests begin when they are due, whether or not those
// before have been answered (an open loop), and a latency counts from the moment a
// request was due. What waits behind a slow answer is so measured as a user would feel
// it; a closed loop would leave it out (Tene: "coordinated omission").
//
// usage: build/report/load --port P --rate R --seconds S [--connections C] [--carts N]
//                          [--reads SHARE] [--zipf EXPONENT] [--seed K] [--quiet]
//
// Carts are user101 to user(100+N) at 127.0.0.1:P, by a Zipf distribution (Gray et al.,
// SIGMOD 1994). A write adds one product, or sets its quantity once it is there. A line
// of progress a second goes to stderr; one JSON object to stdout.

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <time.h>

#include "../tests/consistency/http_client.h"

#define NS 1000000000LL
#define FIRST_USER 101
#define PRODUCT 2000000 // none of the seed's
#define UNITS 100
#define DRAIN_NS (5 * NS) // for the last answers
#define SLACK_NS 1000     // by how much the kernel may oversleep on purpose

static const char usage[] =
    "usage: load --port P --rate R --seconds S [--connections C] [--carts N]\n"
    "            [--reads SHARE] [--zipf EXPONENT] [--seed K] [--quiet]\n";

static struct {
    long port, connections, carts, seed;
    double rate, seconds, reads, zipf;
    bool quiet;
} option = {.connections = 64, .carts = 1000, .seed = 1, .reads = 0.9, .zipf = 0.99};

struct client {
    struct http_conn http; // first, as epoll's events point to it
    int64_t due_ns;
    bool writes;
    long cart;
    char request[512];
    struct client *next; // of those at rest
};

static struct client *clients, *rest;
static int epoll;
static struct sockaddr_in server;
static double *share;     // of the carts up to each, of all requests
static bool *has_product; // whether a cart is known to have the line
static uint64_t random_state;
static long n_sent, n_answered, n_errors, n_not_2xx;
static struct latencies {
    uint32_t *us;
    size_t n;
} latencies[2]; // of reads, of writes

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * NS + t.tv_nsec;
}

static void *must(void *p)
{
    if (!p) {
        perror("load");
        exit(1);
    }
    return p;
}

// xorshift64* (Vigna, 2016); from 0 to just below 1.
static double random_unit(void)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (double)((random_state * 2685821657736338717ULL) >> 11) / 9007199254740992.;
}

static void prepare_carts(void)
{
    double sum = 0;
    size_t n = (size_t)option.carts;
    share = must(calloc(n, sizeof *share));
    has_product = must(calloc(n, sizeof *has_product));
    for (size_t i = 0; i < n; i++)
        share[i] = sum += pow((double)(i + 1), -option.zipf);
    for (size_t i = 0; i < n; i++)
        share[i] /= sum;
}

static long random_cart(void)
{
    double at = random_unit();
    long low = 0, high = option.carts - 1;
    while (low < high) {
        long middle = (low + high) / 2;
        if (share[middle] > at)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static size_t compose(struct client *client)
{
    char body[128];
    int len;
    long user = FIRST_USER + client->cart;
    if (!client->writes)
        return (size_t)snprintf(client->request, sizeof client->request,
                                "GET /cart/user%ld HTTP/1.1\r\nHost: carrito\r\n\r\n",
                                user);
    bool update = has_product[client->cart];
    if (update)
        len = snprintf(body, sizeof body, "{\"quantity\":%d}",
                       1 + (int)(random_unit() * UNITS));
    else
        len = snprintf(body, sizeof body,
                       "{\"product_id\":%d,\"name\":\"Load\",\"price\":9.99}", PRODUCT);
    char path[64] = "add";
    if (update)
        snprintf(path, sizeof path, "update/%d", PRODUCT);
    return (size_t)snprintf(client->request, sizeof client->request,
                            "%s /cart/user%ld/%s HTTP/1.1\r\nHost: carrito\r\n"
                            "Content-Type: application/json\r\n"
                            "Content-Length: %d\r\n\r\n%s",
                            update ? "PUT" : "POST", user, path, len, body);
}

static void finish(struct client *client, enum http_event event)
{
    if (event == HTTP_WAIT)
        return;
    if (event == HTTP_BROKEN) {
        n_errors++;
    } else {
        struct latencies *l = &latencies[client->writes];
        int64_t us = (now_ns() - client->due_ns) / 1000;
        l->us[l->n++] = us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
        int status = client->http.answer.status;
        n_answered++;
        if (status < 200 || status > 299)
            n_not_2xx++;
        else if (client->writes)
            has_product[client->cart] = true;
    }
    client->next = rest;
    rest = client;
}

static void begin(int64_t due_ns)
{
    struct client *client = rest;
    rest = client->next;
    client->due_ns = due_ns;
    client->writes = random_unit() >= option.reads;
    client->cart = random_cart();
    size_t len = compose(client);
    n_sent++;
    finish(client, http_send(&client->http, epoll, &server, client->request, len));
}

static void wait_for_answers(int64_t until_ns)
{
    struct epoll_event events[256];
    int64_t left = until_ns - now_ns();
    struct timespec wait = {left > 0 ? left / NS : 0, left > 0 ? left % NS : 0};
    int n = epoll_pwait2(epoll, events, 256, &wait, NULL);
    if (n < 0 && errno != EINTR) {
        perror("epoll_pwait2");
        exit(1);
    }
    for (int i = 0; i < n; i++) {
        struct client *client = events[i].data.ptr;
        finish(client, http_event(&client->http, events[i].events));
    }
}

static void tell(double passed)
{
    fprintf(stderr, "%3.0f s: %ld sent, %ld answered, %ld errors, %ld not 2xx\n", passed,
            n_sent, n_answered, n_errors, n_not_2xx);
}

static long n_due_in_all(void)
{
    return (long)(option.rate * option.seconds);
}

// All requests, and then their last answers; the seconds it took.
static double run(void)
{
    int64_t begun = now_ns(), told = 0, n_due = 0;
    int64_t total = n_due_in_all();
    int64_t end = 0;          // when all had been sent
    int64_t progress = begun; // when the last answer or failure came
    long done = 0;
    while (n_sent < total || n_sent > n_answered + n_errors) {
        int64_t now = now_ns();
        if (n_sent == total && end == 0)
            end = now;
        if (done != n_answered + n_errors || n_sent == 0)
            progress = now;
        done = n_answered + n_errors;
        // The last ones are waited for, and a server that is silent is given up.
        if ((end && now > end + DRAIN_NS) || now > progress + 2 * DRAIN_NS)
            break;
        while (n_sent < total && rest) {
            int64_t due = begun + (int64_t)((double)n_due / option.rate * 1e9);
            if (due > now)
                break;
            n_due++;
            begin(due);
        }
        // The next one, or, when no connection is free, an answer.
        int64_t next = n_sent < total && rest
                           ? begun + (int64_t)((double)n_due / option.rate * 1e9)
                           : now + NS / 10;
        wait_for_answers(next);
        if (!option.quiet && now - begun > (told + 1) * NS)
            tell((double)++told);
    }
    return (double)(now_ns() - begun) / 1e9;
}

// Results

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

// The least value that at least this share of all are no greater than, in ms.
static double percentile(const struct latencies *l, double of)
{
    if (l->n == 0)
        return 0;
    size_t rank = (size_t)ceil(of * (double)l->n);
    return l->us[rank > 0 ? rank - 1 : 0] / 1000.;
}

static void print_latencies(const char *prefix, struct latencies *l)
{
    static const struct {
        const char *name;
        double of;
    } rows[] = {{"p50", .5}, {"p90", .9}, {"p99", .99}, {"p999", .999}, {"max", 1}};
    qsort(l->us, l->n, sizeof *l->us, by_value);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        printf(", \"%s%s_ms\": %.3f", prefix, rows[i].name, percentile(l, rows[i].of));
}

static void print_results(double seconds)
{
    struct latencies all = {.n = latencies[0].n + latencies[1].n};
    all.us = must(malloc((all.n + 1) * sizeof *all.us));
    for (size_t i = 0, at = 0; i < 2; at += latencies[i++].n)
        memcpy(all.us + at, latencies[i].us, latencies[i].n * sizeof *all.us);
    printf("{\"sent\": %ld, \"answered\": %ld, \"errors\": %ld, \"not_2xx\": %ld, "
           "\"seconds\": %.3f, \"rate\": %.1f",
           n_sent, n_answered, n_due_in_all() - n_answered, n_not_2xx, seconds,
           (double)n_answered / seconds);
    print_latencies("", &all);
    print_latencies("read_", &latencies[0]);
    print_latencies("write_", &latencies[1]);
    printf("}\n");
    free(all.us);
}

static double number(const char *name, const char *text, double least, double most)
{
    char *end;
    double value = strtod(text, &end);
    if (*end || end == text || !(value >= least && value <= most)) {
        fprintf(stderr, "load: --%s %s is not between %g and %g\n", name, text, least,
                most);
        exit(2);
    }
    return value;
}

static void parse_options(int argc, char **argv)
{
    enum { ARG = required_argument };
    static const struct option long_options[] = {
        {"port", ARG, NULL, 'p'},          {"rate", ARG, NULL, 'r'},
        {"seconds", ARG, NULL, 's'},       {"connections", ARG, NULL, 'c'},
        {"carts", ARG, NULL, 'n'},         {"reads", ARG, NULL, 'g'},
        {"zipf", ARG, NULL, 'z'},          {"seed", ARG, NULL, 'k'},
        {"quiet", no_argument, NULL, 'q'}, {0}};
    for (int c, at; (c = getopt_long(argc, argv, "", long_options, &at)) != -1;) {
        const char *name = c == '?' ? "" : long_options[at].name;
        switch (c) {
        case 'p':
            option.port = (long)number(name, optarg, 1, 65535);
            break;
        case 'r':
            option.rate = number(name, optarg, 1, 1e6);
            break;
        case 's':
            option.seconds = number(name, optarg, .1, 3600);
            break;
        case 'c':
            option.connections = (long)number(name, optarg, 1, 10000);
            break;
        case 'n':
            option.carts = (long)number(name, optarg, 1, 1e7);
            break;
        case 'g':
            option.reads = number(name, optarg, 0, 1);
            break;
        case 'z':
            option.zipf = number(name, optarg, 0, 10);
            break;
        case 'k':
            option.seed = (long)number(name, optarg, 0, 1e9);
            break;
        case 'q':
            option.quiet = true;
            break;
        default:
            fputs(usage, stderr);
            exit(2);
        }
    }
    if (optind < argc || option.port == 0 || option.rate == 0 || option.seconds == 0) {
        fputs(usage, stderr);
        exit(2);
    }
}

int main(int argc, char **argv)
{
    parse_options(argc, argv);
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_TIMERSLACK, SLACK_NS);
    server = (struct sockaddr_in){.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)option.port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    random_state = 0x9E3779B97F4A7C15ULL * (uint64_t)(option.seed + 1);
    prepare_carts();
    size_t total = (size_t)(option.rate * option.seconds) + 1;
    for (int i = 0; i < 2; i++)
        latencies[i].us = must(malloc(total * sizeof *latencies[i].us));
    epoll = epoll_create1(EPOLL_CLOEXEC);
    clients = must(calloc((size_t)option.connections, sizeof *clients));
    for (long i = 0; i < option.connections; i++) {
        if (!http_init(&clients[i].http))
            must(NULL);
        clients[i].next = rest;
        rest = &clients[i];
    }
    print_results(run());
    return n_answered > 0 ? 0 : 1;
}
