// What unit tests share. A test's *state is a talloc context; a test that
// leaves a byte on it fails. So it frees what it gets there, and what it does not know of
// is a leak.
#pragma once

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <talloc.h>
#include <unistd.h>

#include <cmocka.h>

static inline int unit_setup(void **state)
{
    *state = talloc_named_const(NULL, 0, "test");
    return *state ? 0 : -1;
}

static inline int unit_teardown(void **state)
{
    size_t left = talloc_total_size(*state);
    if (left) {
        print_error("%zu bytes left:\n", left);
        talloc_report_full(*state, stderr);
    }
    talloc_free(*state);
    return left ? -1 : 0;
}

// True when fn aborts.
static inline bool unit_aborts(void (*fn)(void))
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        struct rlimit no_core = {0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        signal(SIGABRT, SIG_DFL);
        fn();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

#define UNIT_TEST(f) cmocka_unit_test_setup_teardown(f, unit_setup, unit_teardown)

#define UNIT_RUN(tests)                        \
    (cmocka_set_message_output(CM_OUTPUT_TAP), \
     cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0)

#define LENGTH(array) (sizeof(array) / sizeof *(array))
