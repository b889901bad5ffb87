// wrap: clock_boot_ns clock_wall_ms
#include "../base/unit.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "data/lease.h"

#define MS INT64_C(1000000)
#define REPLID "8bf315b94ae172c5c448365fba84c4059ee000f3"

static int64_t boot_ns = 5000 * MS, wall_ms = 1700000000000;

int64_t __wrap_clock_boot_ns(void);
int64_t __wrap_clock_wall_ms(void);

int64_t __wrap_clock_boot_ns(void)
{
    return boot_ns;
}

int64_t __wrap_clock_wall_ms(void)
{
    return wall_ms;
}

// Nothing may be read behind the end, so no NUL is there.
static bool parse(const char *text, size_t len, struct heartbeat *out)
{
    char *copy = malloc(len + !len);
    assert_non_null(copy);
    memcpy(copy, text, len);
    bool good = heartbeat_parse(copy, len, out);
    free(copy);
    return good;
}

static void the_key_is_this_hosts(void **state)
{
    char id[64] = "", expected[80];
    (void)state;
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "r");
    assert_non_null(file);
    assert_non_null(fgets(id, sizeof id, file));
    fclose(file);
    assert_int_equal(strlen(id), 37); // with its newline
    snprintf(expected, sizeof expected, "hb:%.36s", id);
    assert_string_equal(lease_key(), expected);
    assert_ptr_equal(lease_key(), lease_key());
}

static void now_is_by_both_clocks(void **state)
{
    (void)state;
    struct lease_clock now = lease_now();
    assert_int_equal(now.boot_ns, boot_ns);
    assert_int_equal(now.wall_ms, wall_ms);
}

static void a_heartbeat_is_a_line_of_text(void **state)
{
    struct buf b;
    buf_init(&b, *state, 128);
    struct heartbeat hb = {7, CACHE_REPLICAS, {123456789, 1700000000000}, REPLID};
    heartbeat_put(&b, &hb);
    assert_string_equal(b.data, "H 7 replicas 123456789 1700000000000 " REPLID);
    talloc_free(b.data);
}

static void what_is_put_is_parsed(void **state)
{
    static const int64_t numbers[] = {0, 1, 9, 10, 4711, INT64_MAX - 1, INT64_MAX};
    static const char *const ids[] = {REPLID, "x", "0"};
    for (size_t i = 0; i < LENGTH(numbers); i++)
        for (enum cache_mode mode = 0; mode < CACHE_MODE__MAX; mode++)
            for (size_t k = 0; k < LENGTH(ids); k++) {
                struct heartbeat in = {numbers[i],
                                       mode,
                                       {numbers[(i + 1) % LENGTH(numbers)],
                                        numbers[(i + 2) % LENGTH(numbers)]},
                                       ""};
                struct heartbeat out;
                struct buf b;
                snprintf(in.replid, sizeof in.replid, "%s", ids[k]);
                buf_init(&b, *state, 128);
                heartbeat_put(&b, &in);
                assert_true(parse(b.data, b.len, &out));
                assert_int_equal(out.epoch, in.epoch);
                assert_int_equal(out.mode, in.mode);
                assert_int_equal(out.stamp.boot_ns, in.stamp.boot_ns);
                assert_int_equal(out.stamp.wall_ms, in.stamp.wall_ms);
                assert_string_equal(out.replid, in.replid);
                talloc_free(b.data);
            }
}

#define REST " replicas 1 2 " REPLID

static void anything_else_is_no_heartbeat(void **state)
{
    static const char *const texts[] = {
        "",
        "H",
        "H ",
        "H 7",
        "H 7 ",
        "H 7 replicas",
        "H 7 replicas 1",
        "H 7 replicas 1 2",
        "H 7 replicas 1 2 ",
        "h 7" REST,
        "HH 7" REST,
        "V 7" REST,
        "X 7" REST,
        " H 7" REST,
        "H  7" REST,
        "H\t7" REST,
        "H -7" REST,
        "H +7" REST,
        "H 07" REST,
        "H 7.0" REST,
        "H 0x7" REST,
        "H seven" REST,
        "H 9223372036854775808" REST,
        "H 99999999999999999999999999" REST,
        "7" REST,
        "H" REST,
        "H 7 replica 1 2 " REPLID,
        "H 7 replicass 1 2 " REPLID,
        "H 7 Master 1 2 " REPLID,
        "H 7 on 1 2 " REPLID,
        "H 7  1 2 " REPLID,
        "H 7 2 1 2 " REPLID,
        "H 7 replicas -1 2 " REPLID,
        "H 7 replicas 1 -2 " REPLID,
        "H 7 replicas 1e3 2 " REPLID,
        "H 7 replicas 1 2.5 " REPLID,
        "H 7 replicas 01 2 " REPLID,
        "H 7 replicas 1  2 " REPLID,
        "H 7 replicas 1 2  " REPLID,
        "H 7 replicas 9223372036854775808 2 " REPLID,
        "H 7 replicas 1 9223372036854775808 " REPLID,
        "H 7 replicas 1 2 " REPLID "x",
        "H 7 replicas 1 2 " REPLID " ",
        "H 7 replicas 1 2 " REPLID " more",
        "H 7 replicas 1 2 " REPLID REPLID REPLID,
        "H,7,replicas,1,2," REPLID,
    };
    (void)state;
    struct heartbeat untouched, out;
    memset(&untouched, 0x55, sizeof untouched);
    for (size_t i = 0; i < LENGTH(texts); i++) {
        out = untouched;
        if (parse(texts[i], strlen(texts[i]), &out))
            fail_msg("parsed: \"%s\"", texts[i]);
        assert_memory_equal(&out, &untouched, sizeof out);
    }
    // Cut off anywhere before its last word.
    static const char whole[] = "H 7 replicas 123 456 " REPLID;
    for (size_t len = 0; len <= sizeof whole - 1 - strlen(REPLID); len++)
        assert_false(parse(whole, len, &out));
    // A NUL is no end.
    assert_false(parse("H 7\0replicas 1 2 x", 18, &out));
    assert_false(parse("H\0"
                       "7" REST,
                       3 + sizeof REST - 1, &out));
}

// By both clocks younger than LEASE_MS, and not from the future.
static void a_lease_holds_for_300_ms(void **state)
{
    static const struct {
        int64_t boot_ns, wall_ms; // since the stamp
        bool holds;
    } rows[] = {
        {0, 0, true},
        {1, 0, true},
        {MS, 1, true},
        {299 * MS, 299, true},
        {300 * MS - 1, 299, true},
        {300 * MS, 299, false},
        {300 * MS + 1, 299, false},
        {299 * MS, 300, false},
        {0, 300, false},
        {300 * MS, 0, false},
        {300 * MS, 300, false},
        {3600000 * MS, 3600000, false},
        // from the future
        {-1, 0, false},
        {-MS, 0, false},
        {0, -1, false},
        {-1, -1, false},
        {-300 * MS, -300, false},
        // the wall clock was set, ahead and back, since the heartbeat
        {50 * MS, 3600050, false},
        {50 * MS, -3599950, false},
        {50 * MS, 50 + 249, true},
        {50 * MS, 50 + 250, false},
        {50 * MS, 50 - 50, true},
        {50 * MS, 50 - 51, false},
        // the machine slept without its boot clock noticing, as a copy of it may
        {10 * MS, 60000, false},
        // and what the wall clock hides the boot clock shows
        {400 * MS, 10, false},
    };
    (void)state;
    assert_int_equal(LEASE_MS, 300);
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct heartbeat hb = {.epoch = 1, .mode = CACHE_REPLICAS, .stamp = lease_now()};
        struct lease_clock now = {hb.stamp.boot_ns + rows[i].boot_ns,
                                  hb.stamp.wall_ms + rows[i].wall_ms};
        if (lease_holds(&hb, &now) != rows[i].holds)
            fail_msg("%lld ns, %lld ms", (long long)rows[i].boot_ns,
                     (long long)rows[i].wall_ms);
    }
}

static void far_stamps_do_not_overflow(void **state)
{
    (void)state;
    struct heartbeat hb = {.stamp = {INT64_MAX, INT64_MAX}};
    struct lease_clock now = {0, 0};
    assert_false(lease_holds(&hb, &now));
    hb.stamp = (struct lease_clock){0, 0};
    now = (struct lease_clock){INT64_MAX, INT64_MAX};
    assert_false(lease_holds(&hb, &now));
}

// A writer that waits so long outlasts every lease that was given before.
static void a_hold_is_longer_than_a_lease(void **state)
{
    (void)state;
    assert_true(HOLD_NS == (LEASE_MS + 20) * MS);
    assert_true(TICK_MS * 4 < LEASE_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(the_key_is_this_hosts),
        UNIT_TEST(now_is_by_both_clocks),
        UNIT_TEST(a_heartbeat_is_a_line_of_text),
        UNIT_TEST(what_is_put_is_parsed),
        UNIT_TEST(anything_else_is_no_heartbeat),
        UNIT_TEST(a_lease_holds_for_300_ms),
        UNIT_TEST(far_stamps_do_not_overflow),
        UNIT_TEST(a_hold_is_longer_than_a_lease),
    };
    return UNIT_RUN(tests);
}
