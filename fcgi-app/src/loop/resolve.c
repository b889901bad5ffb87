// Host names to addresses by getaddrinfo_a(3).
//
// glibc answers in a thread of its own. That thread only sets a flag and rings the loop's
// bell; all else happens in the loop's thread. A request whose coroutine has stopped
// waiting is freed when its answer comes.

#include "loop/resolve.h"

#include <arpa/inet.h>
#include <ev.h>
#include <netdb.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/mem.h"
#include "loop/co.h"
#include "loop/loop.h"

struct lookup {
    struct gaicb gai;
    struct gaicb *list[1];
    atomic_bool answered; // by glibc's thread
    bool done;            // the loop knows it, too: the lookup is its coroutine's to free
    struct co *co;        // NULL when nobody waits any more
    struct lookup *next;
    char host[256];
};

static struct lookup *pending;
static ev_async bell;

static void lookup_free(struct lookup *lookup)
{
    if (lookup->gai.ar_result)
        freeaddrinfo(lookup->gai.ar_result);
    free(lookup);
}

static void on_answer(union sigval value)
{
    struct lookup *lookup = value.sival_ptr;
    atomic_store(&lookup->answered, true);
    ev_async_send(loop_ev(), &bell);
}

static void on_bell(struct ev_loop *l, ev_async *w, int events)
{
    (void)l;
    (void)w;
    (void)events;
    for (struct lookup **at = &pending; *at;) {
        struct lookup *lookup = *at;
        if (!atomic_load(&lookup->answered)) {
            at = &lookup->next;
            continue;
        }
        *at = lookup->next;
        lookup->done = true;
        if (lookup->co)
            co_wake(lookup->co);
        else
            lookup_free(lookup);
    }
}

static struct lookup *lookup_start(const char *host)
{
    static bool bell_hung;
    if (!bell_hung) {
        ev_async_init(&bell, on_bell);
        ev_async_start(loop_ev(), &bell);
        bell_hung = true;
    }
    struct lookup *lookup = calloc(1, sizeof *lookup);
    if (!lookup)
        abort();
    memcpy(lookup->host, host, strlen(host) + 1);
    lookup->gai.ar_name = lookup->host;
    lookup->list[0] = &lookup->gai;
    struct sigevent done = {.sigev_notify = SIGEV_THREAD,
                            .sigev_value.sival_ptr = lookup,
                            .sigev_notify_function = on_answer};
    if (getaddrinfo_a(GAI_NOWAIT, lookup->list, 1, &done) != 0) {
        free(lookup);
        return NULL;
    }
    lookup->co = co_self();
    lookup->next = pending;
    pending = lookup;
    return lookup;
}

static bool is_numeric(const char *host)
{
    unsigned char any[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, host, any) == 1 || inet_pton(AF_INET6, host, any) == 1;
}

struct err resolve_host(void *mem, const char *host, int64_t deadline,
                        const char **address)
{
    if (is_numeric(host)) {
        *address = mem_printf(mem, "%s", host);
        return err_ok();
    }
    if (strlen(host) >= sizeof(((struct lookup *)0)->host))
        return err_make(ERR_NOT_FOUND, NULL, "host name too long");
    struct lookup *lookup = lookup_start(host);
    if (!lookup)
        return err_make(ERR_NOT_FOUND, NULL, "the resolver did not start");
    while (!lookup->done && co_wait(deadline)) {
    }
    if (!lookup->done) {
        lookup->co = NULL;
        return err_make(ERR_TIMEOUT, NULL, "the host name was not resolved in time");
    }
    struct err err = err_make(ERR_NOT_FOUND, NULL, "the host name is unknown");
    char text[NI_MAXHOST];
    struct addrinfo *found = lookup->gai.ar_result;
    if (gai_error(&lookup->gai) == 0 && found &&
        getnameinfo(found->ai_addr, found->ai_addrlen, text, sizeof text, NULL, 0,
                    NI_NUMERICHOST) == 0) {
        *address = mem_printf(mem, "%s", text);
        err = err_ok();
    }
    lookup_free(lookup);
    return err;
}
