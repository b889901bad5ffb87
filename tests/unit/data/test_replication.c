#include "../base/unit.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "data/redis.h"
#include "data/replication.h"

#define MASTER "127.0.0.1:27100"
#define REPLID "8bf315b94ae172c5c448365fba84c4059ee000f3"

// What INFO replication said, as it was received.

// Redis 7.0.15: a master with two replicas.
static const char redis_7_two[] =
    "# Replication\r\n"
    "role:master\r\n"
    "connected_slaves:2\r\n"
    "slave0:ip=127.0.0.1,port=27101,state=online,offset=50,lag=0\r\n"
    "slave1:ip=127.0.0.1,port=27102,state=online,offset=50,lag=0\r\n"
    "master_failover_state:no-failover\r\n"
    "master_replid:" REPLID "\r\n"
    "master_replid2:0000000000000000000000000000000000000000\r\n"
    "master_repl_offset:50\r\n"
    "second_repl_offset:-1\r\n"
    "repl_backlog_active:1\r\n"
    "repl_backlog_size:1048576\r\n"
    "repl_backlog_first_byte_offset:1\r\n"
    "repl_backlog_histlen:50\r\n";

// A third one has come, and waits for its copy to be made.
static const char redis_7_waiting[] =
    "# Replication\r\n"
    "role:master\r\n"
    "connected_slaves:3\r\n"
    "slave0:ip=127.0.0.1,port=27101,state=online,offset=50,lag=0\r\n"
    "slave1:ip=127.0.0.1,port=27102,state=online,offset=50,lag=1\r\n"
    "slave2:ip=127.0.0.1,port=27103,state=wait_bgsave,offset=0,lag=0\r\n"
    "master_failover_state:no-failover\r\n"
    "master_replid:" REPLID "\r\n"
    "master_replid2:0000000000000000000000000000000000000000\r\n"
    "master_repl_offset:50\r\n"
    "second_repl_offset:-1\r\n"
    "repl_backlog_active:1\r\n"
    "repl_backlog_size:1048576\r\n"
    "repl_backlog_first_byte_offset:1\r\n"
    "repl_backlog_histlen:50\r\n";

// A replica that has a replica of its own.
static const char redis_7_sub[] =
    "# Replication\r\n"
    "role:slave\r\n"
    "master_host:127.0.0.1\r\n"
    "master_port:27100\r\n"
    "master_link_status:up\r\n"
    "master_last_io_seconds_ago:3\r\n"
    "master_sync_in_progress:0\r\n"
    "slave_read_repl_offset:78\r\n"
    "slave_repl_offset:78\r\n"
    "slave_priority:100\r\n"
    "slave_read_only:1\r\n"
    "replica_announced:1\r\n"
    "connected_slaves:1\r\n"
    "slave0:ip=127.0.0.1,port=27101,state=online,offset=78,lag=0\r\n"
    "master_failover_state:no-failover\r\n"
    "master_replid:" REPLID "\r\n"
    "master_replid2:0000000000000000000000000000000000000000\r\n"
    "master_repl_offset:78\r\n"
    "second_repl_offset:-1\r\n"
    "repl_backlog_active:1\r\n"
    "repl_backlog_size:1048576\r\n"
    "repl_backlog_first_byte_offset:1\r\n"
    "repl_backlog_histlen:78\r\n";

// Redis 8.0.2: a replica.
static const char redis_8_replica[] =
    "# Replication\r\n"
    "role:slave\r\n"
    "master_host:127.0.0.1\r\n"
    "master_port:27200\r\n"
    "master_link_status:up\r\n"
    "master_last_io_seconds_ago:1\r\n"
    "master_sync_in_progress:0\r\n"
    "slave_read_repl_offset:50\r\n"
    "slave_repl_offset:50\r\n"
    "replica_full_sync_buffer_size:0\r\n"
    "replica_full_sync_buffer_peak:0\r\n"
    "slave_priority:100\r\n"
    "slave_read_only:1\r\n"
    "replica_announced:1\r\n"
    "connected_slaves:0\r\n"
    "master_failover_state:no-failover\r\n"
    "master_replid:11ff33098817194b6fe8d6ad62ad799abeb00436\r\n"
    "master_replid2:0000000000000000000000000000000000000000\r\n"
    "master_repl_offset:50\r\n"
    "second_repl_offset:-1\r\n"
    "repl_backlog_active:1\r\n"
    "repl_backlog_size:1048576\r\n"
    "repl_backlog_first_byte_offset:1\r\n"
    "repl_backlog_histlen:50\r\n";

// And a master with eleven, two of which announce the same name.
static const char redis_8_many[] =
    "# Replication\r\n"
    "role:master\r\n"
    "connected_slaves:11\r\n"
    "slave0:ip=127.0.0.1,port=27201,state=online,offset=64,lag=0\r\n"
    "slave1:ip=127.0.0.1,port=27202,state=online,offset=64,lag=0\r\n"
    "slave2:ip=127.0.0.1,port=27203,state=online,offset=64,lag=1\r\n"
    "slave3:ip=redis-replica-1,port=6379,state=online,offset=64,lag=0\r\n"
    "slave4:ip=redis-replica-1,port=6379,state=online,offset=64,lag=0\r\n"
    "slave5:ip=127.0.0.1,port=27206,state=online,offset=64,lag=1\r\n"
    "slave6:ip=127.0.0.1,port=27207,state=online,offset=64,lag=0\r\n"
    "slave7:ip=127.0.0.1,port=27208,state=online,offset=64,lag=0\r\n"
    "slave8:ip=127.0.0.1,port=27209,state=online,offset=64,lag=1\r\n"
    "slave9:ip=127.0.0.1,port=27210,state=online,offset=64,lag=0\r\n"
    "slave10:ip=127.0.0.1,port=27211,state=online,offset=64,lag=0\r\n"
    "master_failover_state:no-failover\r\n"
    "master_replid:11ff33098817194b6fe8d6ad62ad799abeb00436\r\n"
    "master_replid2:0000000000000000000000000000000000000000\r\n"
    "master_repl_offset:64\r\n"
    "second_repl_offset:-1\r\n"
    "repl_backlog_active:1\r\n"
    "repl_backlog_size:1048576\r\n"
    "repl_backlog_first_byte_offset:1\r\n"
    "repl_backlog_histlen:64\r\n";

// The configured nodes: a master and two replicas.

static struct config config = {
    .redis_master = {"127.0.0.1", "27100"},
    .redis_replicas = {{"127.0.0.1", "27101"}, {"127.0.0.1", "27102"}},
    .n_redis_replicas = 2,
};

// Nothing may be read behind the end, so no NUL is there.
static bool parse_bytes(const char *text, size_t len, struct replication *info)
{
    char *copy = malloc(len + !len);
    assert_non_null(copy);
    memcpy(copy, text, len);
    bool good = replication_parse(copy, len, info);
    free(copy);
    return good;
}

static bool parse(const char *text, struct replication *info)
{
    return parse_bytes(text, strlen(text), info);
}

static void check_listed(const struct replication *info, size_t i, const char *addr,
                         bool online, int64_t offset)
{
    assert_string_equal(info->listed[i].addr, addr);
    assert_int_equal(info->listed[i].online, online);
    assert_int_equal(info->listed[i].offset, offset);
}

// Reading

static void a_master_says_who_listens(void **state)
{
    (void)state;
    struct replication info;
    assert_true(parse(redis_7_two, &info));
    assert_true(info.is_master);
    assert_string_equal(info.replid, REPLID);
    assert_int_equal(info.offset, 50);
    assert_int_equal(info.n_listed, 2);
    check_listed(&info, 0, "127.0.0.1:27101", true, 50);
    check_listed(&info, 1, "127.0.0.1:27102", true, 50);
}

static void one_that_waits_is_not_online(void **state)
{
    (void)state;
    struct replication info;
    assert_true(parse(redis_7_waiting, &info));
    assert_int_equal(info.n_listed, 3);
    check_listed(&info, 1, "127.0.0.1:27102", true, 50);
    check_listed(&info, 2, "127.0.0.1:27103", false, 0);
    assert_false(replication_find(&info, redis_node(1)) == NULL);
}

// Of itself it says slave_repl_offset and the like, which list nobody.
static void a_replica_is_no_master(void **state)
{
    (void)state;
    struct replication info;
    assert_true(parse(redis_8_replica, &info));
    assert_false(info.is_master);
    assert_string_equal(info.replid, "11ff33098817194b6fe8d6ad62ad799abeb00436");
    assert_int_equal(info.offset, 50);
    assert_int_equal(info.n_listed, 0);
    assert_true(parse(redis_7_sub, &info));
    assert_false(info.is_master);
    assert_int_equal(info.n_listed, 1);
    check_listed(&info, 0, "127.0.0.1:27101", true, 78);
}

static void more_than_ten_and_names_are_listed(void **state)
{
    (void)state;
    struct replication info;
    assert_true(parse(redis_8_many, &info));
    assert_true(info.is_master);
    assert_int_equal(info.n_listed, 11);
    check_listed(&info, 3, "redis-replica-1:6379", true, 64);
    check_listed(&info, 4, "redis-replica-1:6379", true, 64);
    check_listed(&info, 10, "127.0.0.1:27211", true, 64);
}

// With line feeds alone, and however the last line ends.
static void lines_may_end_in_any_way(void **state)
{
    struct replication info;
    char *text = mem_strndup(*state, redis_7_two, strlen(redis_7_two)), *to = text;
    for (const char *from = text; *from; from++)
        if (*from != '\r')
            *to++ = *from;
    *to = '\0';
    assert_true(parse(text, &info));
    assert_int_equal(info.offset, 50);
    check_listed(&info, 1, "127.0.0.1:27102", true, 50);
    talloc_free(text);
    assert_true(parse("role:master\r\nmaster_replid:x\r\nmaster_repl_offset:7", &info));
    assert_string_equal(info.replid, "x");
    assert_int_equal(info.offset, 7);
    assert_true(
        parse("\n\r\n\nmaster_repl_offset:7\nmaster_replid:x\nrole:master\r", &info));
    assert_true(info.is_master);
}

// A text made of these with one line more.
#define THREE "role:master\r\nmaster_replid:x\r\nmaster_repl_offset:7\r\n"

static void what_is_no_such_answer_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "\r\n",
        "# Replication\r\n",
        "role:master\r\n",
        "role:master\r\nmaster_replid:x\r\n",
        "role:master\r\nmaster_repl_offset:7\r\n",
        "master_replid:x\r\nmaster_repl_offset:7\r\n",
        "Role:master\r\nmaster_replid:x\r\nmaster_repl_offset:7\r\n",
        "role:master\r\nmaster_replid2:x\r\nsecond_repl_offset:7\r\n",
        "role:master\r\nmaster_replid:x\r\nmaster_repl_offset:-1\r\n",
        "role:master\r\nmaster_replid:x\r\nmaster_repl_offset:\r\n",
        "role:master\r\nmaster_replid:x\r\nmaster_repl_offset:7 \r\n",
        "role:master\r\nmaster_replid:x\r\nmaster_repl_offset:9223372036854775808\r\n",
        "role:master\r\nmaster_replid:" REPLID "x\r\nmaster_repl_offset:7\r\n",
        THREE "slave0:\r\n",
        THREE "slave0:ip=a\r\n",
        THREE "slave0:ip=a,port=1,state=online,lag=0\r\n",
        THREE "slave0:ip=a,port=1,offset=7,lag=0\r\n",
        THREE "slave0:ip=a,state=online,offset=7,lag=0\r\n",
        THREE "slave0:port=1,state=online,offset=7,lag=0\r\n",
        THREE "slave0:ip=a,port=1,state=online,offset=,lag=0\r\n",
        THREE "slave0:ip=a,port=1,state=online,offset=-7,lag=0\r\n",
        THREE "slave0:ip=a,port=1,state=online,offset=x,lag=0\r\n",
        THREE "slave0:sip=a,sport=1,estate=online,soffset=7,lag=0\r\n",
        "-ERR unknown command",
        "NOAUTH Authentication required.",
    };
    (void)state;
    struct replication info;
    assert_true(parse(THREE, &info));
    for (size_t i = 0; i < LENGTH(texts); i++)
        if (parse(texts[i], &info))
            fail_msg("parsed: %s", texts[i]);
}

// Wherever the answer is cut off: it is refused, or what was cut is not there.
static void a_part_of_an_answer_shows_nothing_else(void **state)
{
    (void)state;
    struct replication info;
    size_t good = 0;
    for (size_t len = 0; len < strlen(redis_7_two); len++)
        if (parse_bytes(redis_7_two, len, &info)) {
            assert_true(info.offset == 50 || info.offset == 5);
            assert_int_equal(info.n_listed, 2);
            good++;
        }
    assert_true(good > 0);
}

static void fields_may_be_in_any_order_and_more(void **state)
{
    (void)state;
    struct replication info;
    assert_true(parse(THREE "slave0:lag=0,offset=7,state=online,type=replica,port=1,ip=a,"
                            "new=x\r\nslave:9\r\nslavery:1\r\nslave1x:2\r\nnew_line\r\n",
                      &info));
    assert_int_equal(info.n_listed, 1);
    check_listed(&info, 0, "a:1", true, 7);
    static const char *const states[] = {"wait_bgsave", "send_bulk", "onlin",   "online ",
                                         "onlines",     "Online",    "offline", ""};
    for (size_t i = 0; i < LENGTH(states); i++) {
        char text[200];
        snprintf(text, sizeof text, THREE "slave0:ip=::1,port=1,state=%s,offset=7\r\n",
                 states[i]);
        assert_true(parse(text, &info));
        check_listed(&info, 0, "::1:1", false, 7);
    }
}

static void more_than_there_is_room_for_is_refused(void **state)
{
    struct buf b;
    struct replication info;
    buf_init(&b, *state, 1024);
    buf_add_str(&b, THREE);
    for (int i = 0; i <= REPLICATION_LISTED_MAX; i++) {
        assert_true(parse_bytes(b.data, b.len, &info));
        assert_int_equal(info.n_listed, i);
        buf_printf(&b, "slave%d:ip=10.0.0.%d,port=1,state=online,offset=7,lag=0\r\n", i,
                   i);
    }
    assert_false(parse_bytes(b.data, b.len, &info));
    talloc_free(b.data);

    // An address that would have to be cut.
    char host[300];
    memset(host, 'h', sizeof host);
    for (size_t len = REDIS_ADDR_MAX - 8; len < sizeof host; len++) {
        buf_init(&b, *state, 1024);
        buf_printf(&b, THREE "slave0:ip=%.*s,port=6379,state=online,offset=7\r\n",
                   (int)len, host);
        assert_int_equal(parse_bytes(b.data, b.len, &info), len + 5 < REDIS_ADDR_MAX);
        talloc_free(b.data);
    }
}

// Who is meant

static void a_node_is_found_by_its_whole_address(void **state)
{
    (void)state;
    struct replication info;
    assert_true(parse(redis_7_two, &info));
    assert_null(replication_find(&info, redis_node(0)));
    assert_ptr_equal(replication_find(&info, redis_node(1)), &info.listed[0]);
    assert_ptr_equal(replication_find(&info, redis_node(2)), &info.listed[1]);
    strcpy(info.listed[0].addr, "127.0.0.1:2710");
    strcpy(info.listed[1].addr, "27.0.0.1:27102");
    assert_null(replication_find(&info, redis_node(1)));
    assert_null(replication_find(&info, redis_node(2)));
    // Two say that they are it: nobody knows which.
    strcpy(info.listed[0].addr, "127.0.0.1:27101");
    strcpy(info.listed[1].addr, "127.0.0.1:27101");
    assert_null(replication_find(&info, redis_node(1)));
}

// What a master may list, of which 100 bytes have to be had.
static void all_have_it_only_if_everyone_is_named(void **state)
{
#define A "127.0.0.1,port=27101"
#define B "127.0.0.1,port=27102"
#define UP ",state=online,offset=100,lag=0"
    static const struct {
        const char *listed[4];
        bool all;
    } rows[] = {
        {{A UP, B UP}, true},
        {{B UP, A UP}, true},
        {{A ",state=online,offset=101,lag=9", B ",state=online,offset=9999999"}, true},
        // missing
        {{NULL}, false},
        {{A UP}, false},
        {{B UP}, false},
        // another, known to nobody, or one too many
        {{A UP, B UP, "127.0.0.1,port=27103" UP}, false},
        {{A UP, B UP, "127.0.0.1,port=27103,state=wait_bgsave,offset=0"}, false},
        {{A UP, "127.0.0.1,port=27103" UP}, false},
        {{"127.0.0.1,port=27103" UP, "127.0.0.1,port=27104" UP}, false},
        {{A UP, "localhost,port=27102" UP}, false},
        {{A UP, "redis-replica-1,port=6379" UP}, false},
        {{A UP, "127.0.0.1,port=0" UP}, false},
        // the same address twice
        {{A UP, A UP}, false},
        {{A UP, A UP, B UP}, false},
        {{A UP, B UP, B ",state=wait_bgsave,offset=0"}, false},
        // the master as its own replica
        {{A UP, B UP, "127.0.0.1,port=27100" UP}, false},
        {{A UP, "127.0.0.1,port=27100" UP}, false},
        // not online
        {{A UP, B ",state=wait_bgsave,offset=100"}, false},
        {{A UP, B ",state=send_bulk,offset=100"}, false},
        {{A ",state=wait_bgsave,offset=0", B UP}, false},
        // online and still being copied to: Redis 7.0 and 8.0 say that while a full copy
        // without a disk is under way
        {{A UP, B ",state=online,offset=0,lag=1"}, false},
        // one byte short
        {{A ",state=online,offset=99,lag=0", B UP}, false},
        {{A UP, B ",state=online,offset=99,lag=0"}, false},
    };
    (void)state;
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct replication info;
        char text[1000] = "role:master\r\nmaster_replid:x\r\nmaster_repl_offset:120\r\n";
        for (size_t k = 0; k < LENGTH(rows[i].listed) && rows[i].listed[k]; k++) {
            size_t len = strlen(text);
            snprintf(text + len, sizeof text - len, "slave%zu:ip=%s\r\n", k,
                     rows[i].listed[k]);
        }
        assert_true(parse(text, &info));
        if (replication_all_have(&info, redis_node(0), 100) != rows[i].all)
            fail_msg("row %zu: %s", i, text);
    }
}

static void the_offset_is_the_one_asked_for(void **state)
{
    (void)state;
    struct replication info;
    assert_true(parse(redis_7_two, &info));
    assert_true(replication_all_have(&info, redis_node(0), 0));
    assert_true(replication_all_have(&info, redis_node(0), 50));
    assert_false(replication_all_have(&info, redis_node(0), 51));
    assert_false(replication_all_have(&info, redis_node(0), INT64_MAX));
    assert_true(parse(redis_7_waiting, &info));
    assert_false(replication_all_have(&info, redis_node(0), 0));
    assert_true(parse(redis_8_many, &info));
    assert_false(replication_all_have(&info, redis_node(0), 0));
}

// Another node is the master: the one that was is one of the others now.
static void the_others_are_all_but_the_master(void **state)
{
    (void)state;
    struct replication info;
    assert_true(parse(redis_7_two, &info));
    assert_false(replication_all_have(&info, redis_node(1), 50));
    strcpy(info.listed[0].addr, MASTER);
    assert_true(replication_all_have(&info, redis_node(1), 50));
    assert_false(replication_all_have(&info, redis_node(0), 50));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(a_master_says_who_listens),
        UNIT_TEST(one_that_waits_is_not_online),
        UNIT_TEST(a_replica_is_no_master),
        UNIT_TEST(more_than_ten_and_names_are_listed),
        UNIT_TEST(lines_may_end_in_any_way),
        UNIT_TEST(what_is_no_such_answer_is_refused),
        UNIT_TEST(a_part_of_an_answer_shows_nothing_else),
        UNIT_TEST(fields_may_be_in_any_order_and_more),
        UNIT_TEST(more_than_there_is_room_for_is_refused),
        UNIT_TEST(a_node_is_found_by_its_whole_address),
        UNIT_TEST(all_have_it_only_if_everyone_is_named),
        UNIT_TEST(the_offset_is_the_one_asked_for),
        UNIT_TEST(the_others_are_all_but_the_master),
    };
    redis_setup(&config);
    return UNIT_RUN(tests);
}
