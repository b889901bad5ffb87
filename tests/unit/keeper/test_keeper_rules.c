// The rules of failover and modes, played against a small world: three nodes that answer
// or do not, sentinels, PostgreSQL, and a keeper that looks every 50 ms and carries out
// what it decides. Each row of the table tells what happens and which moves follow.
#include "../base/unit.h"

#include <string.h>

#include "base/buf.h"
#include "keeper/keeper_rules.h"

#define MS INT64_C(1000000)
#define TICK 50
#define PATIENCE 500

enum what {
    END,
    NOTHING,   // only time passes
    DOWN,      // node: answers no more
    UP,        // node
    MASTER,    // node: says that it is one, with a new replication id
    REPLICA,   // node: says that it is none
    WELL,      // node: the master says so
    BEHIND,    // node
    MISSING,   // node
    UNKNOWN,   // arg: an unknown replica is attached, or not
    TELL,      // sentinel arg / 10 names node, with the config-epoch arg % 10
    SILENT,    // all sentinels answer no more
    RESTARTED, // PostgreSQL
    CACHE_IS,  // arg: on or off
    STOPPED,   // the keeper, for arg ms
    MOVED,     // by others, to mode arg
    RAISED     // by other hands, the number only
};

struct event {
    int at; // ms
    enum what what;
    int node, arg;
};

// The world

static const char *const addrs[] = {"a:1", "b:1", "c:1"};

static struct {
    int ms;
    size_t n_nodes, n_sentinels;
    struct {
        bool up;
        int asked;
        struct {
            bool is_master;
            char replid[8];
            enum replica_state replica;
        } is, told; // as it is, and as it told when it was asked
    } nodes[3];
    struct {
        bool talks;
        int asked;
        struct {
            int config_epoch;
            const char *addr;
        } knows, told;
    } sentinels[3];
    bool unknown, restarted, cache;
    int stopped_until;
    struct epoch epoch;
    int replids;
} world;

static struct keeper_memory memory;
static struct buf trace;

static void new_replid(int node)
{
    snprintf(world.nodes[node].is.replid, sizeof world.nodes[node].is.replid, "%s%d",
             node == 0   ? "A"
             : node == 1 ? "B"
                         : "C",
             ++world.replids % 1000);
}

static void begin(size_t n_nodes, size_t n_sentinels, enum cache_mode mode)
{
    memset(&world, 0, sizeof world);
    memset(&memory, 0, sizeof memory);
    world.ms = 100000;
    world.n_nodes = n_nodes;
    world.n_sentinels = n_sentinels;
    world.cache = true;
    for (size_t i = 0; i < n_nodes; i++) {
        world.nodes[i].up = true;
        world.nodes[i].is.replica = REPLICA_WELL;
    }
    world.nodes[0].is.is_master = true;
    new_replid(0);
    for (size_t i = 0; i < n_sentinels; i++) {
        world.sentinels[i].talks = true;
        world.sentinels[i].knows.addr = addrs[0];
    }
    world.epoch.number = 7;
    world.epoch.mode = mode;
    strcpy(world.epoch.master, addrs[0]);
    strcpy(world.epoch.replid, world.nodes[0].is.replid);
}

static void happen(const struct event *e)
{
    switch (e->what) {
    case END:
    case NOTHING:
        break;
    case DOWN:
    case UP:
        world.nodes[e->node].up = e->what == UP;
        break;
    case MASTER:
        new_replid(e->node);
        world.nodes[e->node].is.is_master = true;
        break;
    case REPLICA:
        world.nodes[e->node].is.is_master = false;
        break;
    case WELL:
    case BEHIND:
    case MISSING:
        world.nodes[e->node].is.replica = e->what == WELL     ? REPLICA_WELL
                                          : e->what == BEHIND ? REPLICA_BEHIND
                                                              : REPLICA_MISSING;
        break;
    case UNKNOWN:
        world.unknown = e->arg;
        break;
    case TELL:
        world.sentinels[e->arg / 10].talks = true;
        world.sentinels[e->arg / 10].knows.addr = e->node < 3 ? addrs[e->node] : "d:1";
        world.sentinels[e->arg / 10].knows.config_epoch = e->arg % 10;
        break;
    case SILENT:
        for (size_t i = 0; i < world.n_sentinels; i++)
            world.sentinels[i].talks = false;
        break;
    case RESTARTED:
        world.restarted = true;
        break;
    case CACHE_IS:
        world.cache = e->arg;
        break;
    case STOPPED:
        world.stopped_until = world.ms + e->arg;
        break;
    case MOVED:
        world.epoch.mode = (enum cache_mode)e->arg;
        world.epoch.number++;
        break;
    case RAISED:
        world.epoch.number++;
        break;
    }
}

static void ask(void)
{
    for (size_t i = 0; i < world.n_nodes; i++) {
        if (!world.nodes[i].up)
            continue;
        world.nodes[i].asked = world.ms;
        world.nodes[i].told = world.nodes[i].is;
    }
    for (size_t i = 0; i < world.n_sentinels; i++) {
        if (!world.sentinels[i].talks)
            continue;
        world.sentinels[i].asked = world.ms;
        world.sentinels[i].told = world.sentinels[i].knows;
    }
}

static void look(struct keeper_view *view)
{
    *view = (struct keeper_view){.now = world.ms * MS,
                                 .epoch = &world.epoch,
                                 .restarted = world.restarted,
                                 .cache = world.cache,
                                 .patience = PATIENCE * MS,
                                 .n_nodes = world.n_nodes,
                                 .n_sentinels = world.n_sentinels,
                                 .unknown_replica = world.unknown};
    for (size_t i = 0; i < world.n_nodes; i++)
        view->nodes[i] = (struct keeper_node){
            .addr = addrs[i],
            .asked_at = world.nodes[i].asked * MS,
            .is_master = world.nodes[i].told.is_master,
            .replid = world.nodes[i].told.replid,
            .replica = world.nodes[i].told.replica,
        };
    for (size_t i = 0; i < world.n_sentinels; i++) {
        view->words[i] =
            (struct sentinel_word){.asked_at = world.sentinels[i].asked * MS,
                                   .config_epoch = world.sentinels[i].told.config_epoch};
        if (world.sentinels[i].asked)
            strcpy(view->words[i].master, world.sentinels[i].told.addr);
    }
}

// Carries out a move as PostgreSQL does, and writes it down: when, mode, master, why.
static void carry_out(const struct keeper_move *move, int ms)
{
    static const char *const modes[] = {"off", "master", "replicas"};
    struct epoch next = {.number = world.epoch.number + 1, .mode = move->mode};
    strcpy(next.master, move->master);
    strcpy(next.replid, move->replid);
    world.epoch = next;
    world.restarted = false;
    buf_printf(&trace, "%s%d %s %s: %s", trace.len ? "\n" : "", ms, modes[move->mode],
               next.replid, move->why);
}

static void play(const struct event *events)
{
    int begun = world.ms;
    for (const struct event *e = events; e->what != END; world.ms += TICK) {
        while (e->what != END && begun + e->at <= world.ms)
            happen(e++);
        if (world.ms < world.stopped_until)
            continue;
        struct keeper_view view;
        look(&view); // at what it was told a tick ago
        struct keeper_move move = keeper_decide(&memory, &view);
        if (move.why)
            carry_out(&move, world.ms - begun);
        ask();
    }
}

// What happens, and what follows

#define FIRST_LOOK       \
    {                    \
        0, NOTHING, 0, 0 \
    }
#define UNTIL(ms)        \
    {ms, NOTHING, 0, 0}, \
    {                    \
        ms, END, 0, 0    \
    }

struct row {
    const char *name;
    size_t n_nodes, n_sentinels;
    enum cache_mode mode;
    struct event events[12];
    const char *moves;
};

static const struct row rows[] = {
    {"nothing happens", 3, 0, CACHE_REPLICAS, {UNTIL(5000)}, ""},
    {"no replicas: master for ever",
     1,
     0,
     CACHE_REPLICAS,
     {UNTIL(5000)},
     "50 master A1: there are no replicas"},
    {"from off on, and to the replicas",
     3,
     0,
     CACHE_OFF,
     {UNTIL(3000)},
     "50 master A1: the master can be reached\n"
     "600 replicas A1: all replicas are well"},
    {"a replica is lost and comes back",
     3,
     0,
     CACHE_REPLICAS,
     {{1000, BEHIND, 2, 0}, {3000, MISSING, 2, 0}, {6000, WELL, 2, 0}, UNTIL(9000)},
     "3050 master A1: a replica is missing\n"
     "6550 replicas A1: all replicas are well"},
    {"a replica stands still for a second",
     3,
     0,
     CACHE_REPLICAS,
     {{1000, BEHIND, 2, 0}, {2500, WELL, 2, 0}, UNTIL(5000)},
     ""},
    {"one replica comes back, the other does not",
     3,
     0,
     CACHE_MASTER,
     {{0, MISSING, 2, 0}, {0, MISSING, 1, 0}, {1000, WELL, 1, 0}, UNTIL(5000)},
     ""},
    {"a replica that comes and goes is not trusted",
     3,
     0,
     CACHE_MASTER,
     {{0, WELL, 2, 0},
      {400, BEHIND, 2, 0},
      {500, WELL, 2, 0},
      {800, BEHIND, 2, 0},
      UNTIL(3000)},
     ""},
    {"an unknown replica",
     3,
     0,
     CACHE_REPLICAS,
     {{1000, UNKNOWN, 0, 1}, {4000, UNKNOWN, 0, 0}, UNTIL(6000)},
     "1000 master A1: an unknown replica is attached\n"
     "4500 replicas A1: all replicas are well"},
    {"the master answers late once",
     3,
     0,
     CACHE_REPLICAS,
     {{1000, DOWN, 0, 0}, {1400, UP, 0, 0}, UNTIL(3000)},
     ""},
    {"the master is gone, and nobody takes its place",
     3,
     0,
     CACHE_REPLICAS,
     {{1000, DOWN, 0, 0}, {4000, UP, 0, 0}, UNTIL(6000)},
     "1500 off A1: no master can be reached\n"
     "4050 master A1: the master can be reached\n"
     "4600 replicas A1: all replicas are well"},
    {"the master is restarted before it is missed",
     3,
     0,
     CACHE_REPLICAS,
     {{1000, DOWN, 0, 0}, {1000, MASTER, 0, 0}, {1300, UP, 0, 0}, UNTIL(1400)},
     "1350 master A2: the master has begun anew"},
    {"the master is restarted, and its replicas follow",
     3,
     0,
     CACHE_REPLICAS,
     {{1000, MASTER, 0, 0},
      {1000, BEHIND, 1, 0},
      {1000, BEHIND, 2, 0},
      {2000, WELL, 1, 0},
      {3000, WELL, 2, 0},
      UNTIL(5000)},
     "1050 master A2: the master has begun anew\n"
     "3550 replicas A2: all replicas are well"},
    {"without Sentinel the epoch's master stays, whoever else says he is one",
     3,
     0,
     CACHE_REPLICAS,
     {{1000, MASTER, 1, 0}, {1000, MISSING, 1, 0}, UNTIL(5000)},
     "1050 master A1: a replica is missing"},
    {"without Sentinel another one is taken when the master is gone",
     3,
     0,
     CACHE_REPLICAS,
     {{1000, MASTER, 1, 0}, {1100, DOWN, 0, 0}, UNTIL(1800)},
     "1600 master B2: another node is the master"},
    {"without Sentinel the configured one is taken first",
     3,
     0,
     CACHE_REPLICAS,
     {{0, MASTER, 1, 0},
      {0, MASTER, 2, 0},
      {500, DOWN, 0, 0},
      {2000, UP, 0, 0},
      {2000, MASTER, 0, 0},
      UNTIL(2300)},
     "1000 off A1: no master can be reached\n"
     "2050 master A4: the master has begun anew"},
    {"without Sentinel two others are one too many",
     3,
     0,
     CACHE_REPLICAS,
     {{1000, MASTER, 1, 0}, {1000, MASTER, 2, 0}, {1100, DOWN, 0, 0}, UNTIL(5000)},
     "1600 off A1: no master can be reached"},
    {"a demoted master counts as none",
     3,
     0,
     CACHE_REPLICAS,
     {{1000, REPLICA, 0, 0}, UNTIL(3000)},
     "1500 off A1: no master can be reached"},
    {"the master is demoted and another promoted soon after",
     3,
     0,
     CACHE_REPLICAS,
     {{1000, REPLICA, 0, 0}, {1300, MASTER, 2, 0}, {1300, BEHIND, 1, 0}, UNTIL(3000)},
     "1350 master C2: another node is the master"},
    {"Sentinel promotes a replica of a dead master",
     3,
     3,
     CACHE_REPLICAS,
     {{1000, DOWN, 0, 0},
      {2500, MASTER, 1, 0},
      {3000, TELL, 1, 1},
      {3100, TELL, 1, 11},
      UNTIL(3500)},
     "1500 off A1: no master can be reached\n"
     "2550 master B2: another node is the master\n"
     "3100 replicas B2: all replicas are well"}, // all before Sentinel knows
    {"Sentinel's word decides between two masters",
     3,
     3,
     CACHE_REPLICAS,
     {{1000, MASTER, 1, 0}, {1000, MISSING, 1, 0}, {2000, TELL, 1, 11}, UNTIL(3000)},
     "1050 master A1: a replica is missing\n"
     "2050 master B2: another node is the master\n"
     "2600 replicas B2: all replicas are well"},
    {"two are promoted, and Sentinel has not spoken",
     3,
     3,
     CACHE_REPLICAS,
     {{1000, DOWN, 0, 0},
      {1600, MASTER, 1, 0},
      {1600, MASTER, 2, 0},
      {3000, TELL, 2, 22},
      UNTIL(3300)},
     "1500 off A1: no master can be reached\n"
     "3050 master C3: another node is the master"},
    {"whom Sentinel names is not a master yet",
     3,
     3,
     CACHE_REPLICAS,
     {{1000, TELL, 1, 1}, {3000, MASTER, 1, 0}, UNTIL(3300)},
     "3050 master B2: another node is the master"},
    {"Sentinel names a node that is not configured",
     3,
     3,
     CACHE_REPLICAS,
     {{1000, TELL, 3, 9}, UNTIL(3000)},
     ""},
    {"the sentinels disagree: the newest configuration counts",
     3,
     3,
     CACHE_REPLICAS,
     {{0, MASTER, 1, 0},
      {0, MASTER, 2, 0},
      {0, MISSING, 1, 0},
      {0, MISSING, 2, 0},
      {1000, TELL, 1, 1},
      {1000, TELL, 2, 12},
      UNTIL(2000)},
     "50 master A1: a replica is missing\n"
     "1050 master C3: another node is the master"},
    {"what a sentinel said long ago does not count",
     3,
     3,
     CACHE_REPLICAS,
     {{1000, SILENT, 0, 0},
      {4000, MASTER, 1, 0},
      {4000, MISSING, 1, 0},
      {5000, DOWN, 0, 0},
      UNTIL(5800)},
     "4050 master A1: a replica is missing\n"
     "5500 master B2: another node is the master"},
    {"another keeper or a writer turns it off: back again",
     3,
     0,
     CACHE_REPLICAS,
     {{5000, MOVED, 0, CACHE_OFF}, UNTIL(6000)},
     "5050 master A1: the master can be reached\n"
     "5600 replicas A1: all replicas are well"},
    {"turned off again and again: longer each time",
     2,
     0,
     CACHE_MASTER,
     {{0, BEHIND, 1, 0},
      {5000, MOVED, 0, CACHE_OFF},
      {5500, MOVED, 0, CACHE_OFF},
      {6500, MOVED, 0, CACHE_OFF},
      {8000, MOVED, 0, CACHE_OFF},
      {20000, MOVED, 0, CACHE_OFF},
      UNTIL(20500)},
     "5050 master A1: the master can be reached\n"
     "5750 master A1: the master can be reached\n"
     "7000 master A1: the master can be reached\n"
     "9000 master A1: the master can be reached\n"
     "20050 master A1: the master can be reached"},
    {"a new master is not kept waiting",
     3,
     0,
     CACHE_MASTER,
     {{0, BEHIND, 1, 0},
      {1000, MOVED, 0, CACHE_OFF},
      {1500, MOVED, 0, CACHE_OFF},
      {1600, MASTER, 0, 0},
      UNTIL(2000)},
     "1050 master A1: the master can be reached\n"
     "1650 master A2: the master has begun anew"},
    {"PostgreSQL is started again",
     3,
     0,
     CACHE_REPLICAS,
     {{1000, RESTARTED, 0, 0}, UNTIL(3000)},
     "1000 replicas A1: PostgreSQL was started again"},
    {"PostgreSQL is started again while there is no master",
     3,
     0,
     CACHE_OFF,
     {{0, DOWN, 0, 0}, {1000, RESTARTED, 0, 0}, UNTIL(3000)},
     "1000 off A1: PostgreSQL was started again"},
    {"CACHE=off",
     3,
     0,
     CACHE_REPLICAS,
     {{0, CACHE_IS, 0, 0}, {1000, RESTARTED, 0, 0}, UNTIL(3000)},
     "0 off A1: CACHE=off\n"
     "1000 off A1: PostgreSQL was started again"},
    {"the keeper was stopped: what it saw is no ground for a move",
     3,
     0,
     CACHE_REPLICAS,
     {{1000, STOPPED, 0, 5000}, UNTIL(8000)},
     ""},
    {"other hands raise the number many times a second",
     3,
     0,
     CACHE_REPLICAS,
     {{500, RAISED, 0, 0},
      {550, RAISED, 0, 0},
      {600, RAISED, 0, 0},
      {650, MISSING, 1, 0},
      {700, RAISED, 0, 0},
      UNTIL(1500)},
     "700 master A1: a replica is missing"},
};

static void the_table(void **state)
{
    void *mem = talloc_new(*state);
    buf_init(&trace, mem, 256);
    int failed = 0;
    for (size_t i = 0; i < LENGTH(rows); i++) {
        buf_truncate(&trace, 0);
        begin(rows[i].n_nodes, rows[i].n_sentinels, rows[i].mode);
        play(rows[i].events);
        if (strcmp(trace.data, rows[i].moves) == 0)
            continue;
        print_error("%s: moves\n%s\nexpected\n%s\n", rows[i].name, trace.data,
                    rows[i].moves);
        failed++;
    }
    talloc_free(mem);
    assert_int_equal(failed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(the_table),
    };
    return UNIT_RUN(tests);
}
