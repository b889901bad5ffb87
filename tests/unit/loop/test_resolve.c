// wrap: getaddrinfo_a
#include "co_unit.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "loop/resolve.h"

// A resolver that answers when it is told to; off, glibc's own is asked.

struct asked {
    struct gaicb *request;
    struct sigevent done;
};

static struct asked asked[8];
static size_t n_asked;
static bool fake, refuse;

int __real_getaddrinfo_a(int mode, struct gaicb *list[], int n, struct sigevent *done);
int __wrap_getaddrinfo_a(int mode, struct gaicb *list[], int n, struct sigevent *done);

int __wrap_getaddrinfo_a(int mode, struct gaicb *list[], int n, struct sigevent *done)
{
    if (!fake)
        return __real_getaddrinfo_a(mode, list, n, done);
    assert_int_equal(mode, GAI_NOWAIT);
    assert_int_equal(n, 1);
    assert_int_equal(done->sigev_notify, SIGEV_THREAD);
    if (refuse)
        return EAI_AGAIN;
    assert_true(n_asked < LENGTH(asked));
    list[0]->__return = EAI_INPROGRESS;
    asked[n_asked++] = (struct asked){list[0], *done};
    return 0;
}

static void *notify(void *arg)
{
    const struct asked *a = arg;
    a->done.sigev_notify_function(a->done.sigev_value);
    return NULL;
}

// Answers the request with an address, or with nothing, from a thread as glibc does.
static void answer(size_t number, const char *address)
{
    struct asked *a = &asked[number];
    struct addrinfo numeric = {.ai_flags = AI_NUMERICHOST};
    a->request->__return =
        address ? getaddrinfo(address, NULL, &numeric, &a->request->ar_result)
                : EAI_NONAME;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, notify, a), 0);
    pthread_join(thread, NULL);
}

static int setup(void **state)
{
    fake = refuse = false;
    n_asked = 0;
    return unit_setup(state);
}

#define RESOLVE_TEST(f) cmocka_unit_test_setup_teardown(f, setup, unit_teardown)

static void resolve_numbers(void *arg)
{
    static const char *const addresses[] = {"127.0.0.1",       "0.0.0.0",
                                            "255.255.255.255", "::1",
                                            "2001:db8::7",     "::ffff:10.0.0.1"};
    fake = true; // nobody may be asked
    for (size_t i = 0; i < LENGTH(addresses); i++) {
        void *mem = talloc_new(arg);
        const char *address;
        struct err err = resolve_host(mem, addresses[i], 0, &address);
        assert_int_equal(err.code, ERR_NONE);
        assert_string_equal(address, addresses[i]);
        assert_ptr_equal(talloc_parent(address), mem);
        talloc_free(mem);
    }
    assert_int_equal(n_asked, 0);
}

static void numbers_come_back_as_they_are(void **state)
{
    co_unit_run(resolve_numbers, *state);
}

static void resolve_localhost(void *arg)
{
    const char *address;
    for (int times = 0; times < 3; times++) {
        void *mem = talloc_new(arg);
        struct err err = resolve_host(mem, "localhost", co_unit_in_ms(10000), &address);
        assert_int_equal(err.code, ERR_NONE);
        assert_true(strcmp(address, "127.0.0.1") == 0 || strcmp(address, "::1") == 0);
        assert_ptr_equal(talloc_parent(address), mem);
        talloc_free(mem);
    }
}

static void localhost_is_here(void **state)
{
    co_unit_run(resolve_localhost, *state);
}

static void resolve_unknown(void *arg)
{
    const char *address = "untouched";
    struct err err =
        resolve_host(arg, "no-such-host.invalid", co_unit_in_ms(20000), &address);
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_non_null(err.detail);
    assert_string_equal(address, "untouched");
}

static void an_unknown_name_is_not_found(void **state)
{
    co_unit_run(resolve_unknown, *state);
}

// With the fake

struct question {
    const char *host;
    int64_t deadline;
    void *mem;
    bool done;
    struct err err;
    const char *address;
};

static void ask(void *arg)
{
    struct question *q = arg;
    q->err = resolve_host(q->mem, q->host, q->deadline, &q->address);
    q->done = true;
}

static void ask_several(void *arg)
{
    struct question q[] = {{.host = "one"}, {.host = "two"}, {.host = "three"}};
    fake = true;
    for (size_t i = 0; i < LENGTH(q); i++) {
        q[i].mem = talloc_new(arg);
        q[i].deadline = CO_FOREVER;
        co_start(ask, &q[i]);
    }
    co_unit_yield();
    assert_int_equal(n_asked, 3);
    for (size_t i = 0; i < LENGTH(q); i++)
        assert_string_equal(asked[i].request->ar_name, q[i].host);
    answer(2, "10.0.0.3");
    co_unit_until(&q[2].done);
    assert_false(q[0].done || q[1].done);
    answer(0, "2001:db8::1");
    answer(1, NULL);
    co_unit_until(&q[0].done);
    co_unit_until(&q[1].done);
    assert_string_equal(q[0].address, "2001:db8::1");
    assert_int_equal(q[1].err.code, ERR_NOT_FOUND);
    assert_string_equal(q[2].address, "10.0.0.3");
    for (size_t i = 0; i < LENGTH(q); i++)
        talloc_free(q[i].mem);
}

static void each_gets_its_own_answer(void **state)
{
    co_unit_run(ask_several, *state);
}

static void ask_and_give_up(void *arg)
{
    const char *address = "untouched";
    fake = true;
    int64_t begun = clock_mono_ns();
    struct err err = resolve_host(arg, "slow", begun + 10 * MS, &address);
    assert_int_equal(err.code, ERR_TIMEOUT);
    assert_string_equal(address, "untouched");
    assert_true(clock_mono_ns() - begun >= 9 * MS);
    // A later question is not taken for it, in whichever order the answers come.
    struct question q = {.host = "next", .deadline = CO_FOREVER, .mem = talloc_new(arg)};
    co_start(ask, &q);
    co_unit_yield();
    answer(0, "10.0.0.1"); // too late: only freed, and wakes nobody
    assert_false(co_wait(co_unit_in_ms(5)));
    assert_false(q.done);
    answer(1, "10.0.0.2");
    co_unit_until(&q.done);
    assert_string_equal(q.address, "10.0.0.2");
    talloc_free(q.mem);
}

static void the_deadline_ends_the_wait_and_a_late_answer_is_dropped(void **state)
{
    co_unit_run(ask_and_give_up, *state);
}

static void ask_in_vain(void *arg)
{
    char name[300];
    const char *address = "untouched";
    fake = refuse = true;
    struct err err = resolve_host(arg, "host", CO_FOREVER, &address);
    assert_int_equal(err.code, ERR_NOT_FOUND);
    memset(name, 'x', sizeof name);
    name[256] = '\0';
    err = resolve_host(arg, name, CO_FOREVER, &address);
    assert_int_equal(err.code, ERR_NOT_FOUND);
    refuse = false;
    name[255] = '\0';
    struct question q = {.host = name, .deadline = CO_FOREVER, .mem = arg};
    co_start(ask, &q);
    co_unit_yield();
    assert_int_equal(n_asked, 1);
    assert_string_equal(asked[0].request->ar_name, name);
    answer(0, NULL);
    co_unit_until(&q.done);
    assert_int_equal(q.err.code, ERR_NOT_FOUND);
    assert_string_equal(address, "untouched");
}

static void what_cannot_be_asked_is_not_found(void **state)
{
    co_unit_run(ask_in_vain, *state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RESOLVE_TEST(numbers_come_back_as_they_are),
        RESOLVE_TEST(localhost_is_here),
        RESOLVE_TEST(an_unknown_name_is_not_found),
        RESOLVE_TEST(each_gets_its_own_answer),
        RESOLVE_TEST(the_deadline_ends_the_wait_and_a_late_answer_is_dropped),
        RESOLVE_TEST(what_cannot_be_asked_is_not_found),
    };
    // A machine without a name server that answers says so soon.
    setenv("RES_OPTIONS", "timeout:1 attempts:1", 1);
    loop_init();
    return UNIT_RUN(tests);
}
