// Each test works in children: what is registered and opened lasts as long as a process.

#include "unit.h"

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/metrics.h"

static char dir[] = "/tmp/metrics-XXXXXX";
static char path[64];

static int make_dir(void **state)
{
    (void)state;
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof path, "%s/metrics.bin", dir);
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    unlink(path);
    int failed = rmdir(dir); // nothing else may be left in it
    memcpy(dir + sizeof dir - 7, "XXXXXX", 6);
    return failed;
}

// In a child a failed check ends it; the parent then fails the test.
#define CHECK(condition) \
    ((condition)         \
         ? (void)0       \
         : (void)(fprintf(stderr, "# line %d: %s\n", __LINE__, #condition), _exit(1)))

// A child that runs steps, one at each go() and the last until it is told to end.
struct child {
    pid_t pid;
    int go, done;
};

static void step(const int pipes[2])
{
    char c;
    CHECK(write(pipes[1], "d", 1) == 1);
    CHECK(read(pipes[0], &c, 1) == 1);
}

static struct child start(void (*f)(const int pipes[2]))
{
    int go[2], done[2];
    assert_int_equal(pipe(go), 0);
    assert_int_equal(pipe(done), 0);
    fflush(NULL); // or the child's exit writes it again
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(go[1]);
        close(done[0]);
        f((const int[]){go[0], done[1]});
        exit(0);
    }
    close(go[0]);
    close(done[1]);
    return (struct child){.pid = pid, .go = go[1], .done = done[0]};
}

// Until the child has come to its next step; false when it has ended.
static bool arrive(const struct child *c)
{
    char byte;
    return read(c->done, &byte, 1) == 1;
}

static void go(const struct child *c)
{
    assert_int_equal(write(c->go, "g", 1), 1);
}

static int finish(const struct child *c)
{
    int status;
    close(c->go);
    close(c->done);
    assert_int_equal(waitpid(c->pid, &status, 0), c->pid);
    return status;
}

static void run(void (*f)(const int pipes[2]))
{
    struct child c = start(f);
    assert_int_equal(finish(&c), 0);
}

static struct metric *hits, *pool, *times;

static void register_all(void)
{
    hits = metrics_counter("hits_total", "Hits.", "node=\"a\"");
    pool = metrics_gauge("pool", "Pool.", "");
    times = metrics_histogram("seconds", "Times.", "");
}

static void register_and_open(void)
{
    register_all();
    struct err e = metrics_open(path);
    if (err_is(e))
        fprintf(stderr, "# %s\n", e.detail);
    CHECK(!err_is(e));
}

// The value of the series, -1 when it is not rendered.
static long value(const char *series)
{
    struct buf b;
    buf_init(&b, NULL, 4096);
    buf_add_char(&b, '\n');
    metrics_render(&b);
    char *line = mem_printf(NULL, "\n%s ", series);
    const char *found = strstr(b.data, line);
    long n = found ? strtol(found + strlen(line), NULL, 10) : -1;
    talloc_free(line);
    talloc_free(b.data);
    return n;
}

#define HITS "hits_total{node=\"a\"}"

static void private_child(const int pipes[2])
{
    (void)pipes;
    struct metric *a = metrics_counter("x_requests_total", "Requests.", "status=\"200\"");
    struct metric *h = metrics_histogram("x_seconds", "Times.", "route=\"/\"");
    struct metric *b = metrics_counter("x_requests_total", "Other.", "status=\"404\"");
    struct metric *g = metrics_gauge("x_busy", "Busy.", "");
    struct metric *z = metrics_counter("x_things_done_total", "Things.", "");
    metrics_counter("requests_total", "All.", "");
    CHECK(metrics_counter("x_requests_total", "Requests.", "status=\"200\"") == a);
    CHECK(a != b && h != g && z != a);
    metrics_add(a, 1);
    metrics_add(a, 41);
    metrics_set(g, 7);
    metrics_set(g, -3);
    metrics_observe(h, 0);
    metrics_observe(h, -5);
    metrics_observe(h, 50000);
    metrics_observe(h, 50001);
    metrics_observe(h, 2000000000);
    metrics_observe(h, 10000000001);

    struct buf out;
    buf_init(&out, NULL, 0);
    metrics_render(&out);
    static const char expected[] = //
        "# HELP x_requests_total Requests.\n"
        "# TYPE x_requests_total counter\n"
        "x_requests_total{status=\"200\"} 42\n"
        "# HELP x_seconds Times.\n"
        "# TYPE x_seconds histogram\n"
        "x_seconds_bucket{route=\"/\",le=\"0.00005\"} 3\n"
        "x_seconds_bucket{route=\"/\",le=\"0.0001\"} 4\n"
        "x_seconds_bucket{route=\"/\",le=\"0.0002\"} 4\n"
        "x_seconds_bucket{route=\"/\",le=\"0.0003\"} 4\n"
        "x_seconds_bucket{route=\"/\",le=\"0.0005\"} 4\n"
        "x_seconds_bucket{route=\"/\",le=\"0.001\"} 4\n"
        "x_seconds_bucket{route=\"/\",le=\"0.0025\"} 4\n"
        "x_seconds_bucket{route=\"/\",le=\"0.005\"} 4\n"
        "x_seconds_bucket{route=\"/\",le=\"0.01\"} 4\n"
        "x_seconds_bucket{route=\"/\",le=\"0.025\"} 4\n"
        "x_seconds_bucket{route=\"/\",le=\"0.1\"} 4\n"
        "x_seconds_bucket{route=\"/\",le=\"0.5\"} 4\n"
        "x_seconds_bucket{route=\"/\",le=\"1\"} 4\n"
        "x_seconds_bucket{route=\"/\",le=\"2.5\"} 5\n"
        "x_seconds_bucket{route=\"/\",le=\"10\"} 5\n"
        "x_seconds_bucket{route=\"/\",le=\"+Inf\"} 6\n"
        "x_seconds_sum{route=\"/\"} 12.000100002\n"
        "x_seconds_count{route=\"/\"} 6\n"
        "# HELP x_busy Busy.\n"
        "# TYPE x_busy gauge\n"
        "x_busy -3\n"
        "# HELP x_things_done_total Things.\n"
        "# TYPE x_things_done_total counter\n"
        "x_things_done_total 0\n"
        "# HELP requests_total All.\n"
        "# TYPE requests_total counter\n"
        "# HELP carrito_processes Processes that share these metrics.\n"
        "# TYPE carrito_processes gauge\n"
        "carrito_processes 1\n";
    if (strcmp(out.data, expected) != 0)
        fprintf(stderr, "%s", out.data);
    CHECK(strcmp(out.data, expected) == 0);
    talloc_free(out.data);
}

static void private_memory_works_too(void **state)
{
    (void)state;
    run(private_child);
}

static void count_then_open(const int pipes[2])
{
    (void)pipes;
    register_all();
    metrics_add(hits, 3);
    metrics_set(pool, 4);
    metrics_observe(times, 3000000000);
    CHECK(!err_is(metrics_open(path)));
    metrics_add(hits, 1);
    CHECK(value(HITS) == 4);
    CHECK(value("pool") == 4);
    CHECK(value("seconds_bucket{le=\"2.5\"}") == 0);
    CHECK(value("seconds_count") == 1);
    CHECK(value("seconds_sum") == 3);
    CHECK(value("carrito_processes") == 1);
}

static void earlier_counts_are_carried_over(void **state)
{
    (void)state;
    run(count_then_open);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0137, 0);
}

static void work_until_killed(const int pipes[2])
{
    register_and_open();
    metrics_add(hits, 5);
    metrics_set(pool, 30);
    metrics_observe(times, 1500000000);
    step(pipes);
    metrics_add(hits, 100);
    metrics_set(pool, 31);
    step(pipes);
}

static void watch(const int pipes[2])
{
    register_and_open();
    metrics_add(hits, 7);
    metrics_set(pool, 4);
    metrics_observe(times, 500000000);
    CHECK(value(HITS) == 12);
    CHECK(value("pool") == 34);
    CHECK(value("seconds_count") == 2);
    CHECK(value("seconds_sum") == 2);
    CHECK(value("seconds_bucket{le=\"0.1\"}") == 0);
    CHECK(value("seconds_bucket{le=\"0.5\"}") == 1);
    CHECK(value("seconds_bucket{le=\"2.5\"}") == 2);
    CHECK(value("carrito_processes") == 2);
    step(pipes);
    CHECK(value(HITS) == 112);
    CHECK(value("pool") == 35);
    step(pipes); // the other one is killed
    CHECK(value(HITS) == 112);
    CHECK(value("pool") == 4);
    CHECK(value("seconds_count") == 2);
    CHECK(value("carrito_processes") == 1);
    step(pipes); // and another has come
    CHECK(value(HITS) == 113);
    CHECK(value("pool") == 4);
    CHECK(value("carrito_processes") == 2);
}

static void come_back(const int pipes[2])
{
    register_and_open();
    CHECK(value(HITS) == 112);
    CHECK(value("pool") == 4); // not 31 more: the dead one's gauge is gone
    metrics_add(hits, 1);
    step(pipes);
}

static off_t file_size(void)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st.st_size;
}

static void processes_are_summed_and_restarts_count_on(void **state)
{
    (void)state;
    struct child a = start(work_until_killed);
    assert_true(arrive(&a));
    struct child b = start(watch);
    assert_true(arrive(&b));
    off_t size = file_size();
    go(&a);
    assert_true(arrive(&a));
    go(&b);
    assert_true(arrive(&b));
    kill(a.pid, SIGKILL);
    assert_int_equal(finish(&a), SIGKILL);
    go(&b);
    assert_true(arrive(&b));
    struct child c = start(come_back);
    assert_true(arrive(&c));
    assert_int_equal(file_size(), size); // the dead one's slot is taken again
    go(&b);
    assert_int_equal(finish(&b), 0);
    go(&c);
    assert_int_equal(finish(&c), 0);
}

static void open_with_more(const int pipes[2])
{
    metrics_counter("new_total", "New.", "");
    register_and_open();
    metrics_add(hits, 1000);
    CHECK(value(HITS) == 1000);
    CHECK(value("carrito_processes") == 1);
    step(pipes);
    CHECK(value(HITS) == 2000);
    CHECK(value("carrito_processes") == 2);
}

static void open_with_more_again(const int pipes[2])
{
    metrics_counter("new_total", "New.", "");
    register_and_open();
    metrics_add(hits, 1000);
    step(pipes);
}

static void old_one_goes_on(const int pipes[2])
{
    register_and_open();
    metrics_add(hits, 5);
    step(pipes);
    metrics_add(hits, 1);
    CHECK(value(HITS) == 6);
    CHECK(value("carrito_processes") == 1);
}

static void another_layout_is_another_file(void **state)
{
    (void)state;
    struct child old = start(old_one_goes_on);
    assert_true(arrive(&old));
    struct child new = start(open_with_more);
    assert_true(arrive(&new));
    struct child newer = start(open_with_more_again);
    assert_true(arrive(&newer));
    go(&new);
    assert_int_equal(finish(&new), 0);
    go(&newer);
    assert_int_equal(finish(&newer), 0);
    go(&old);
    assert_int_equal(finish(&old), 0);
}

static void open_renamed(const int pipes[2])
{
    (void)pipes;
    hits = metrics_counter("hits_total", "Hits.", "node=\"b\"");
    pool = metrics_gauge("pool", "Pool.", "");
    times = metrics_histogram("seconds", "Times.", "");
    CHECK(!err_is(metrics_open(path)));
    CHECK(value("hits_total{node=\"b\"}") == 0);
}

static void open_retyped(const int pipes[2])
{
    (void)pipes;
    hits = metrics_counter("hits_total", "Hits.", "node=\"a\"");
    struct metric *counter = metrics_counter("pool", "Pool.", "");
    times = metrics_histogram("seconds", "Times.", "");
    CHECK(!err_is(metrics_open(path)));
    CHECK(value(HITS) == 0);
    metrics_add(counter, 1);
}

static void count_five(const int pipes[2])
{
    (void)pipes;
    register_and_open();
    CHECK(value(HITS) == 0);
    metrics_add(hits, 5);
}

// Of the same size: only the names, labels or types differ.
static void the_layout_is_names_labels_and_types(void **state)
{
    (void)state;
    run(count_five);
    run(open_renamed);
    run(count_five);
    run(open_retyped);
    run(count_five);
}

static void write_file(const char *content, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, len), len);
    close(fd);
}

static void other_files_are_replaced(void **state)
{
    (void)state;
    char zeros[8192] = "";
    write_file("", 0);
    run(count_five);
    write_file("hello\n", 6);
    run(count_five);
    write_file(zeros, sizeof zeros);
    run(count_five);
    memset(zeros, 'x', sizeof zeros);
    write_file(zeros, sizeof zeros);
    run(count_five);
    write_file("carrito", 8);
    run(count_five);
}

static void leftover_of_a_replacement(void **state)
{
    (void)state;
    char fresh[sizeof path + 4];
    snprintf(fresh, sizeof fresh, "%s.new", path);
    write_file("hello\n", 6);
    int fd = open(fresh, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    close(fd);
    run(count_five);
}

static void add_one(const int pipes[2])
{
    step(pipes);
    register_and_open();
    metrics_add(hits, 1);
    step(pipes);
}

static void find_sixteen(const int pipes[2])
{
    (void)pipes;
    register_and_open();
    CHECK(value(HITS) == 16);
    CHECK(value("carrito_processes") == 17);
}

// No two may take one slot, nor may any be left in a file that was replaced.
static void all_come_at_once(void **state)
{
    (void)state;
    for (int round = 0; round < 10; round++) {
        struct child children[16];
        if (round % 2)
            write_file("something else", 14);
        else
            unlink(path);
        for (size_t i = 0; i < LENGTH(children); i++) {
            children[i] = start(add_one);
            assert_true(arrive(&children[i]));
        }
        for (size_t i = 0; i < LENGTH(children); i++)
            go(&children[i]);
        for (size_t i = 0; i < LENGTH(children); i++)
            assert_true(arrive(&children[i]));
        run(find_sixteen);
        for (size_t i = 0; i < LENGTH(children); i++)
            go(&children[i]);
        for (size_t i = 0; i < LENGTH(children); i++)
            assert_int_equal(finish(&children[i]), 0);
    }
}

static void open_fails_and_goes_on(const int pipes[2])
{
    (void)pipes;
    register_all();
    struct err e = metrics_open(path);
    CHECK(e.code == ERR_CONFIG);
    CHECK(strcmp(e.field, "METRICS_FILE") == 0);
    CHECK(e.detail && *e.detail);
    metrics_add(hits, 2);
    CHECK(value(HITS) == 2);
}

static void no_free_slot(void **state)
{
    (void)state;
    run(count_five);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    struct flock all_slots = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 64};
    assert_int_equal(fcntl(fd, F_OFD_SETLK, &all_slots), 0);
    run(open_fails_and_goes_on);
    close(fd);
}

static void no_such_place(void **state)
{
    (void)state;
    char good[sizeof path];
    memcpy(good, path, sizeof path);
    snprintf(path, sizeof path, "%s/missing/metrics.bin", dir);
    run(open_fails_and_goes_on);
    snprintf(path, sizeof path, "%s", dir);
    run(open_fails_and_goes_on);
    memcpy(path, good, sizeof path);
}

static void register_late(const int pipes[2])
{
    (void)pipes;
    register_and_open();
    metrics_counter("late_total", "Late.", "");
}

static void open_twice(const int pipes[2])
{
    (void)pipes;
    register_and_open();
    (void)err_is(metrics_open(path));
}

static void change_type(const int pipes[2])
{
    (void)pipes;
    register_all();
    metrics_gauge("hits_total", "Hits.", "node=\"b\"");
}

static void misuse_aborts(void **state)
{
    (void)state;
    void (*const misuses[])(const int[2]) = {register_late, open_twice, change_type};
    struct rlimit core, none = {0, 0};
    getrlimit(RLIMIT_CORE, &core);
    none.rlim_max = core.rlim_max;
    setrlimit(RLIMIT_CORE, &none);
    for (size_t i = 0; i < LENGTH(misuses); i++) {
        struct child c = start(misuses[i]);
        int status = finish(&c);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGABRT);
    }
    setrlimit(RLIMIT_CORE, &core);
}

#define METRICS_TEST(f) cmocka_unit_test_setup_teardown(f, make_dir, remove_dir)

int main(void)
{
    const struct CMUnitTest tests[] = {
        METRICS_TEST(private_memory_works_too),
        METRICS_TEST(earlier_counts_are_carried_over),
        METRICS_TEST(processes_are_summed_and_restarts_count_on),
        METRICS_TEST(another_layout_is_another_file),
        METRICS_TEST(the_layout_is_names_labels_and_types),
        METRICS_TEST(other_files_are_replaced),
        METRICS_TEST(leftover_of_a_replacement),
        METRICS_TEST(all_come_at_once),
        METRICS_TEST(no_free_slot),
        METRICS_TEST(no_such_place),
        METRICS_TEST(misuse_aborts),
    };
    return UNIT_RUN(tests);
}
