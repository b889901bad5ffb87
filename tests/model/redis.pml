/* Redis nodes and the links between them, and what goes wrong there. Each node holds the
 * cart's key and one heartbeat; a replica is its master as it was when the commands that
 * still wait for the replica were not yet run. */

#define ROOM_TO(d, n) (up[d] != n || waiting[d] < Q)
#define ROOM(n) (ROOM_TO(0, n) && ROOM_TO(1, n) && ROOM_TO(2, n))
#define TAKES_WRITES(n) (n < NODES && replid[n] && ROOM(n))
#define MASTER_IS(n, r) (TAKES_WRITES(n) && replid[n] == r)
#define HOLDS(n, what) (TAKES_WRITES(n) && cart[n] == what)

#define WAITS_FOR(d, c) \
    (queue[d * STRIDE] == c || queue[d * STRIDE + 1] == c || \
     queue[d * STRIDE + 2] == c || queue[d * STRIDE + 3] == c)
#define IN_USE(c) \
    (cart[0] == c || cart[1] == c || cart[2] == c || \
     WAITS_FOR(0, c) || WAITS_FOR(1, c) || WAITS_FOR(2, c))

/* Node n runs a command, what to put into the cart's key or the heartbeat's, and passes
 * it on to its replicas. In a d_step, where there is ROOM. */
inline put(n, what) {
    c = what;
    if
    :: IS_HB(c) -> hb[n] = c
    :: else -> cart[n] = c
    fi;
    d = 0;
    do
    :: d < NODES && up[d] == n ->
       i = d * STRIDE + waiting[d];
       if
       :: waiting[d] && IS_HB(c) && IS_HB(queue[i - 1]) &&
          HB_KIND(queue[i - 1]) == HB_KIND(c) -> queue[i - 1] = c
       :: else -> queue[i] = c; waiting[d]++
       fi;
       d++
    :: d < NODES && up[d] != n -> d++
    :: else -> break
    od;
    i = 0; c = 0; d = 0
}

inline say(what) {
    if
    :: what == NONE -> printf("nothing\n")
    :: what > NONE && what < 8 -> printf("the token of reader %d\n", what - T(0))
    :: IS_X(what) -> printf("tombstone %d\n", what - X(0))
    :: IS_V(what) && V_STATE(what) == CURRENT ->
       printf("the newest cart, epoch %d\n", V_EPOCH(what))
    :: IS_V(what) && V_STATE(what) == LATELY ->
       printf("a cart of late, epoch %d\n", V_EPOCH(what))
    :: IS_V(what) && V_STATE(what) == OLD ->
       printf("an old cart, epoch %d\n", V_EPOCH(what))
    :: IS_HB(what) -> printf("a heartbeat, epoch %d, mode %e, age %d\n",
                             HB_EPOCH(what), HB_MODE(what), HB_AGE(what))
    fi
}

inline leave(n) {
    up[n] = NOBODY;
    listed_by[n] = 0;
    waiting[n] = 0;
    for (i : 0 .. STRIDE - 1) { queue[n * STRIDE + i] = 0 }
    i = 0
}

/* The nodes below n have to be attached again. */
inline drop_replicas(n) {
    for (d : 0 .. NODES - 1) {
        if
        :: up[d] == n -> leave(d)
        :: else
        fi
    }
    d = 0
}

#define HAS_NEXT(n) (n < NODES && waiting[n] && ROOM(n))

/* Each replica runs its master's commands in order, when it likes. */
proctype replication() {
    byte n, next;
    do
    :: atomic {
           if
           :: HAS_NEXT(0) -> n = 0
           :: HAS_NEXT(1) -> n = 1
           :: HAS_NEXT(2) -> n = 2
           fi;
           d_step {
               next = queue[n * STRIDE];
               for (i : 0 .. STRIDE - 2) {
                   queue[n * STRIDE + i] = queue[n * STRIDE + i + 1]
               }
               queue[n * STRIDE + STRIDE - 1] = 0;
               waiting[n]--;
               put(n, next);
               printf("node %d has from its master: ", n);
               say(next);
               n = 0; next = 0
           }
       }
    od
}

#define ATTACHED(n) (LINKS && n < NODES && up[n] != NOBODY)
#define BELOW(n, m) (up[n] == m || (up[n] != NOBODY && up[up[n] % SLOTS] == m))
/* What `ASSUMED` excludes: m is unknown, and no master has listed it all the time. */
#define HIDDEN(m) \
    (m >= CONFIGURED && (!listed_by[m] || replid[up[m] % SLOTS] != listed_by[m]))
#define CAN_FOLLOW(n, m) \
    (LINKS && n < NODES && m < NODES && !replid[n] && up[n] == NOBODY && \
     !BELOW(m, n) && (replid[m] || CHAINS) && \
     (!HIDDEN(m) || n >= CONFIGURED || is(HIDDEN_STRANGER)))

/* Of two replicas that are the same to the service, the first to be promoted is node 1.
 */
#define LIKE_NODE_1 (CONFIGURED == 3 && promotions == 0)
#define CAN_CHANGE(n) (promotions < PROMOTIONS && n < NODES)

proctype failures() {
    byte n, m, promotions;
    do
    :: atomic { /* cut off, or paused for long: it stays as it is */
           if
           :: ATTACHED(0) -> n = 0
           :: ATTACHED(1) -> n = 1
           :: ATTACHED(2) -> n = 2
           fi;
           printf("node %d loses its master\n", n);
           d_step { leave(n); n = 0 }
       }
    :: atomic { /* a full resynchronisation */
           if
           :: CAN_FOLLOW(0, 1) -> n = 0; m = 1
           :: CAN_FOLLOW(0, 2) -> n = 0; m = 2
           :: CAN_FOLLOW(1, 0) -> n = 1; m = 0
           :: CAN_FOLLOW(1, 2) -> n = 1; m = 2
           :: CAN_FOLLOW(2, 0) -> n = 2; m = 0
           :: CAN_FOLLOW(2, 1) -> n = 2; m = 1
           fi;
           printf("node %d is resynchronised from node %d: ", n, m);
           say(cart[m]);
           d_step {
               up[n] = m;
               listed_by[n] = (n < CONFIGURED -> 0 : replid[m]);
               cart[n] = cart[m];
               hb[n] = hb[m];
               drop_replicas(n);
               n = 0; m = 0
           }
       }
    :: atomic { /* the old master, if it lives, does not know */
           if
           :: CAN_CHANGE(0) && !replid[0] -> n = 0
           :: CAN_CHANGE(1) && !replid[1] -> n = 1
           :: CAN_CHANGE(2) && !replid[2] && !LIKE_NODE_1 -> n = 2
           fi;
           printf("node %d is promoted, it holds ", n);
           say(cart[n]);
           d_step {
               promotions++;
               last_replid++;
               replid[n] = last_replid;
               leave(n);
               n = 0
           }
       }
    :: atomic { /* nothing on disk, so it comes back empty */
           if
           :: RESTARTS && CAN_CHANGE(0) && replid[0] -> n = 0
           :: RESTARTS && CAN_CHANGE(1) && replid[1] -> n = 1
           :: RESTARTS && CAN_CHANGE(2) && replid[2] -> n = 2
           fi;
           printf("node %d, a master, is restarted\n", n);
           d_step {
               promotions++;
               last_replid++;
               replid[n] = last_replid;
               cart[n] = NONE;
               hb[n] = NONE;
               drop_replicas(n);
               n = 0
           }
       }
    :: atomic { /* Sentinel tells an old master to follow */
           if
           :: replid[0] && (replid[1] || replid[2]) -> n = 0
           :: replid[1] && (replid[0] || replid[2]) -> n = 1
           :: replid[2] && (replid[0] || replid[1]) -> n = 2
           fi;
           printf("node %d is no master any more\n", n);
           d_step { replid[n] = 0; n = 0 }
       }
    :: atomic {
           if
           :: EVICTIONS && TAKES_WRITES(0) && cart[0] -> n = 0
           :: EVICTIONS && TAKES_WRITES(1) && cart[1] -> n = 1
           :: EVICTIONS && TAKES_WRITES(2) && cart[2] -> n = 2
           fi;
           printf("node %d loses the key\n", n);
           d_step { put(n, NONE); n = 0 }
       }
    :: atomic { /* a command that its sender has given up comes after all */
           if
           :: late && MASTER_IS(0, late_replid) -> n = 0
           :: late && MASTER_IS(1, late_replid) -> n = 1
           :: late && MASTER_IS(2, late_replid) -> n = 2
           fi;
           printf("node %d gets, late, tombstone %d\n", n, late - X(0));
           d_step { put(n, late); late = 0; late_replid = 0; n = 0 }
       }
    :: d_step { late -> /* or never */ late = 0; late_replid = 0 }
    od
}
