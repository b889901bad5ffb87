/* The cart cache's protocol, checked by spin: no read is older than what was answered.
 *
 * STATED. One cart. Whenever the answer of some configured Redis node would be a hit,
 * its value is the cart as last committed: so each read that begins after a write was
 * answered, or after another read showed it, sees that write or a later one. Reads by
 * PostgreSQL see its newest commit and need no proof. A transaction of other hands
 * (psql) may be missing from hits for one lease, not longer.
 *
 * HOW. The processes do whatever the protocol and the faults of a configuration allow,
 * in any order and at any pace; `judge` looks at every state. The service's steps are in
 * service.pml, what Redis nodes and the links between them do in redis.pml, who changes
 * the epoch in postgresql.pml. tests/model/run lists the configurations; each is
 * searched to its end. -DMUTANT=<name> leaves one rule out, and spin shows what breaks.
 *
 * ABSTRACTED, and why nothing is lost:
 * - Versions. A value is CURRENT, or older than the last commit: the statement needs no
 *   more. So the number of reads, writes, heartbeats and ticks has no bound.
 * - COMMIT and answer are one step (but in HOLD_AFTER_COMMIT): a stale hit between the
 *   two would be legal, and is counted as wrong.
 * - Time. Ages count ticks, up to MAX_AGE. A hit needs a stamp at most LEASE ticks old,
 *   a hold lasts HOLD ticks, LEASE < HOLD. How long they are does not matter: a stale
 *   hit is a lease [stamp, hit] with no whole hold [tombstone, COMMIT] in it, and
 *   nothing else has an upper bound. So LEASE 0 and HOLD 1 (a tick just before the
 *   stamp, the next one just after the hit) allow the same orders of steps as 300 and
 *   320 ms. Configuration `ticks` has a finer clock all the same, and a reader that
 *   takes its clock long before its MGET.
 * - Replication. A replica runs its master's commands in order, at its own pace. At most
 *   Q are on the way; then the master waits, or the link breaks, as it may at any time.
 *   Of two heartbeats of one epoch in a row the first is left out: what it allows, the
 *   second does. A resynchronisation is a full one, in a moment: during it, or during a
 *   partial one, a replica shows only what it could have shown before.
 * - Steps are one where the moment between them adds nothing: lock test and SELECT (the
 *   lock stays shared until the SELECT is over), lock and epoch in WRITE, the keeper's
 *   clock and question (a stamp from before allows less). Readers may claim on any node
 *   that takes writes, and readers and writers may die at each step.
 * - Hosts. A hit rests on the heartbeats of one host; those are modelled. Claims, fills
 *   and tombstones may be any host's.
 * - Tombstones and tokens expire when EVICTIONS say so. Nonces are numbers, used again
 *   only when no node or link holds them any more.
 * - A change of mode whose commit becomes visible late: nobody looks at when it was
 *   begun, so only TRUST_CHANGED_AT knows of the time between.
 *
 * ASSUMED. No node of the service is made a replica of a node that it does not know,
 * unless a master lists that one, and has since it was synchronised. HIDDEN_STRANGER
 * shows what else would happen.
 */

/* The size of a configuration; see `run`. */
#ifndef NODES
#define NODES 2          /* Redis nodes, at most 3; node 0 is the first master */
#endif
#ifndef CONFIGURED
#define CONFIGURED NODES /* the first so many are known to the service */
#endif
#ifndef Q
#define Q 3              /* commands on the way to one replica, at most 4 */
#endif
#ifndef WRITERS
#define WRITERS 1
#endif
#ifndef READERS
#define READERS 1
#endif
#ifndef EPOCHS
#define EPOCHS 1         /* epoch 0 is the first: EPOCHS - 1 changes, at most 7 */
#endif
#ifndef PROMOTIONS
#define PROMOTIONS 0     /* promotions and restarts, each with a new replid */
#endif
#ifndef RESTARTS
#define RESTARTS 0
#endif
#ifndef LEASE
#define LEASE 0
#define HOLD 1
#define MAX_AGE 1
#endif

/* What may happen besides: 0 or 1 each. */
#ifndef LINKS
#define LINKS 0          /* a link breaks; a replica is attached again */
#endif
#ifndef CHAINS
#define CHAINS 0         /* a replica of a replica */
#endif
#ifndef EVICTIONS
#define EVICTIONS 0      /* the master loses the cart's key: LRU, expiry, FLUSHALL */
#endif
#ifndef MOVES
#define MOVES 0          /* keepers change the mode, to anything */
#endif
#ifndef HANDS
#define HANDS 0          /* a transaction of other hands changes the cart */
#endif
#ifndef FAILURES
#define FAILURES 0       /* a tombstone's SET fails, is late, or of unknown fate */
#endif
#ifndef ROLLBACKS
#define ROLLBACKS 0
#endif
#ifndef SLOW
#define SLOW 0           /* a reader whose MGET comes long after it took its clock */
#endif

/* Mutants: what is left out or done wrongly, at the place that names it. */
#define HOLD_AFTER_COMMIT      1
#define NO_HOLD                2
#define FILL_BY_VERSION        3 /* a fill looks at versions, not for its token */
#define NO_LOCK_TEST           4
#define ONE_STATEMENT          5 /* the cart is older than the lock test */
#define NO_EPOCH               6 /* the hit test compares no epochs */
#define EPOCH_IN_REDIS         7 /* keepers ask no PostgreSQL */
#define MODE_SAME_EPOCH        8
#define TRUST_CHANGED_AT       9 /* rule (c) counts from when the change was begun */
#define MASTER_BY_ADDRESS     10 /* a hit in mode master tests no role, no replid */
#define COALESCED_MISS        11
#define WAIT_FRESH_CONNECTION 12 /* WAIT says "all" at once */
#define SET_REFUSED_IGNORED   13
#define WAIT_COUNTS           14 /* any replicas will do for rule (a) */
#define STAMP_AFTER_QUESTION  15
#define NO_RULE_C_WAIT        16
#define TTL_LEASE             17 /* a replica judges the lease by its own clock */
#define STRANGER_IGNORED      18 /* rule (a) does not mind other nodes in the list */
#define HIDDEN_STRANGER       19 /* without the assumption above */
#define SAME_NONCE            20 /* the tombstone's second try has the first one's */
#define TAG_BY_LATEST         21 /* a value gets the newest epoch there is */
#define CLOCK_BEFORE_REQUEST  22 /* a read's clock is from before the request */
#define FIRST_READ_BY_ASKING  23 /* rule (c) counts from the question */
#define HEARTBEAT_UNCHECKED   24 /* it goes to any master */
#define TOMBSTONE_UNCHECKED   25 /* it goes to any master */
#define TOKEN_AFTER_READ      26
#define HANDS_UNNOTICED       27 /* other hands do not raise the epoch */
#ifndef MUTANT
#define MUTANT 0
#endif
#define is(mutant) (MUTANT == mutant)

/* What a cart's key holds, in a byte: nothing, a token, a tombstone, or a value with its
 * epoch. And a heartbeat: epoch, mode, age of its stamp. */
#define NONE 0
#define T(r) (1 + (r))
#define X(n) (8 + (n))
#define IS_X(c) ((c) >= 8 && (c) < 16)
#define V(e, v) (16 + 4 * (e) + (v))
#define IS_V(c) ((c) >= 16 && (c) < 128)
#define V_EPOCH(c) (((c) - 16) / 4)
#define V_STATE(c) ((c) & 3)
#define CURRENT 0
#define LATELY 1 /* what is missing is other hands', or younger than the slow reader */
#define OLD 2
#define HB(e, mode, age) (128 + 16 * (e) + 8 * ((mode) == REPLICAS) + (age))
#define IS_HB(c) ((c) >= 128)
#define HB_EPOCH(c) (((c) - 128) / 16)
#define HB_MODE(c) ((((c) / 8) & 1) -> REPLICAS : MASTER)
#define HB_AGE(c) ((c) & 7)
#define HB_KIND(c) ((c) / 8) /* all but the age */

mtype = { REPLICAS, MASTER, OFF };

#define SLOTS 3   /* for nodes */
#define STRIDE 4  /* for the commands on the way to one */
#define NOBODY 7
#define NOT_YET 255

/* Redis. A node that takes writes has a replid, others have 0. */
byte cart[SLOTS], hb[SLOTS], replid[SLOTS];
byte up[SLOTS];                         /* whose replica it is */
byte listed_by[SLOTS];                  /* an unknown node's master, if it was one */
byte waiting[SLOTS];                    /* commands on the way to it */
byte queue[SLOTS * STRIDE];
byte last_replid = 1;

/* PostgreSQL. What an epoch says never changes, but in MODE_SAME_EPOCH. */
byte epoch, mode_of[EPOCHS], replid_of[EPOCHS], address_of[EPOCHS];
byte lock;                              /* writer + 1 who has the cart's lock */
byte visible_age = MAX_AGE;             /* since this epoch can be read */
byte begun_age = MAX_AGE;               /* since the change of mode was begun */
bool moving;
byte hands_age = MAX_AGE;               /* since other hands committed */
bool hands_done;

/* The service. */
byte earliest[LEASE + 1];               /* epoch at the start of this tick, of the last */
bool reading[READERS], writing[WRITERS];
byte hold_age[WRITERS];
byte written[WRITERS];                  /* the value to fill with, once committed */
byte found[READERS];                    /* the same of a reader; NOT_YET read */
byte late, late_replid;                 /* a tombstone of which nothing is known */
byte slow_age;                          /* of the slow reader's clock */
bool slow_clock, slow_reads;            /* it has taken it; its request has come */
bool unseen;                            /* committed, but no answer shows it yet */

byte i, c, d;                           /* within one step only */

/* The hit test of READ for node n, of what it holds now. */
#define FRESH(n) (HB_AGE(hb[n]) <= LEASE)
#define IS_MASTER_OF(n, e) \
    (is(MASTER_BY_ADDRESS) -> address_of[e] == n : replid[n] == replid_of[e])
#define MAY_ANSWER(n) \
    (n < CONFIGURED && IS_HB(hb[n]) && IS_V(cart[n]) && \
     (V_EPOCH(cart[n]) == HB_EPOCH(hb[n]) || is(NO_EPOCH)) && \
     (HB_MODE(hb[n]) == REPLICAS || IS_MASTER_OF(n, HB_EPOCH(hb[n]))))
#define HIT(n) (MAY_ANSWER(n) && FRESH(n))
#define TOO_OLD(n) \
    (!unseen && (V_STATE(cart[n]) == OLD || \
                 (V_STATE(cart[n]) == LATELY && (SLOW || hands_age > LEASE))))
#define STALE(n) (HIT(n) && TOO_OLD(n))

inline stale(n) {
    printf("a read begins, node %d answers: stale\n", n);
    assert(false)
}

#include "redis.pml"
#include "postgresql.pml"
#include "service.pml"

/* Looks at every state. The lines marked `reached` only show that there is something to
 * look at: spin lists those it never came to. */
proctype judge() {
    do
    :: atomic { STALE(0) -> stale(0) }
    :: atomic { STALE(1) -> stale(1) }
    :: atomic { STALE(2) -> stale(2) }
    :: atomic { is(COALESCED_MISS) && found[0] != NOT_YET && IS_V(found[0]) &&
                V_STATE(found[0]) == OLD ->
           printf("a read begins and is given the running read's result: stale\n");
           assert(false) }
    :: atomic { is(HOLD_AFTER_COMMIT) && unseen ->
           unseen = false; printf("a read by PostgreSQL shows the new cart\n") }
    :: HIT(1) && !replid[1] -> printf("reached: a replica's hit\n")
    :: HIT(2) && !replid[2] -> printf("reached: the other replica's hit\n")
    :: HIT(0) && HB_MODE(hb[0]) == MASTER -> printf("reached: a hit in mode master\n")
    :: HIT(1) && replid[1] -> printf("reached: a promoted node's hit\n")
    :: HIT(0) && !replid[0] -> printf("reached: a hit of the old master's\n")
    :: HIT(1) && V_STATE(cart[1]) == LATELY && !SLOW ->
       printf("reached: a hit without other hands' change\n")
    :: replid[0] && replid[1] && IS_V(cart[0]) && IS_V(cart[1]) &&
       V_STATE(cart[0]) != V_STATE(cart[1]) -> printf("reached: two masters differ\n")
    :: IS_V(cart[1]) && V_STATE(cart[1]) == OLD && V_EPOCH(cart[1]) == epoch &&
       !HIT(1) ->
       printf("reached: only the lease stops a hit\n")
    :: HIT(0) && !MAY_ANSWER(0) -> printf("reached: nothing, which must be listed\n")
    od
}

inline count(age) {
    if
    :: age < MAX_AGE -> age++
    :: else
    fi
}

/* A heartbeat that can be in force for nobody any more is nothing. */
inline grow_old(what) {
    if
    :: IS_HB(what) -> what++;
       if
       :: HB_AGE(what) == MAX_AGE -> what = NONE
       :: else
       fi
    :: else
    fi
}

/* A value of an epoch that no heartbeat in force can have any more is only there to be
 * replaced, whatever it says. */
#define OBSOLETE V(0, OLD)

inline grow_obsolete(what) {
    if
    :: IS_V(what) && V_EPOCH(what) < earliest[LEASE] && !SLOW && MUTANT == 0 ->
       what = OBSOLETE
    :: else
    fi
}

/* Every clock at once. */
proctype clock() {
    byte next;
    do
    :: d_step {
           printf("-- time passes\n");
           count(visible_age);
           count(begun_age);
           count(hands_age);
           for (i : 0 .. WRITERS - 1) { count(hold_age[i]) }
           if
           :: slow_clock -> count(slow_age)
           :: else
           fi;
           i = LEASE;
           do
           :: i > 0 -> earliest[i] = earliest[i - 1]; i--
           :: else -> break
           od;
           earliest[0] = epoch;
           for (i : 0 .. READERS - 1) { grow_obsolete(found[i]) }
           for (i : 0 .. WRITERS - 1) { grow_obsolete(written[i]) }
           for (i : 0 .. NODES - 1) {
               if
               :: is(TTL_LEASE) && !replid[i] /* the replica's clock stands still */
               :: else -> grow_old(hb[i])
               fi;
               grow_obsolete(cart[i]);
               d = 0;
               for (c : 0 .. STRIDE - 1) {
                   next = queue[i * STRIDE + c];
                   queue[i * STRIDE + c] = 0;
                   if
                   :: c >= waiting[i]
                   :: c < waiting[i] && IS_HB(next) && HB_AGE(next) + 1 == MAX_AGE
                   :: else ->
                      grow_old(next);
                      grow_obsolete(next);
                      queue[i * STRIDE + d] = next;
                      d++
                   fi
               }
               waiting[i] = d
           }
           i = 0; c = 0; d = 0; next = 0
       }
    od
}

init {
    atomic {
        for (i : 0 .. SLOTS - 1) {
            up[i] = (i > 0 && i < CONFIGURED -> 0 : NOBODY)
        }
        replid[0] = 1;
        for (i : 0 .. EPOCHS - 1) { mode_of[i] = OFF }
        mode_of[0] = REPLICAS;
        replid_of[0] = 1;
        for (i : 0 .. READERS - 1) { found[i] = NOT_YET }
        for (i : 0 .. WRITERS - 1) { hold_age[i] = MAX_AGE }
        /* Empty, or filled and under a lease, as it would be soon. */
        if
        :: true
        :: true ->
           for (i : 0 .. CONFIGURED - 1) {
               cart[i] = V(0, CURRENT);
               hb[i] = HB(0, REPLICAS, 0)
           }
        fi;
        run judge();
        run clock();
        run replication();
        run failures();
        run changes();
        run keepers();
        for (i : 0 .. READERS - 1) { run reader(i) }
        for (i : 0 .. WRITERS - 1) { run writer(i) }
        if
        :: SLOW -> run slow_reader()
        :: else
        fi;
        i = 0
    }
}
