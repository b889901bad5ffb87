/* What the service's programs do: HEARTBEAT, READ and WRITE, step by step. */

/* HEARTBEAT. The clock, then the question, then the script, which runs only on the
 * master that the epoch names. Any number of keepers is at it, each as slow as it likes:
 * so at any time there is one with a stamp that is `age` old and any epoch that was in
 * force since then, earliest[age] or later. */
#define WAS_READ(e, age) \
    (e <= epoch && \
     (e >= earliest[age] || is(STAMP_AFTER_QUESTION) || is(EPOCH_IN_REDIS)))
#define MAY_BEAT(n, e) \
    (TAKES_WRITES(n) && \
     (replid[n] == replid_of[e] || is(EPOCH_IN_REDIS) || is(HEARTBEAT_UNCHECKED)))
#define CAN_BEAT(e) \
    (e < EPOCHS && WAS_READ(e, LEASE) && mode_of[e] != OFF && \
     (MAY_BEAT(0, e) || MAY_BEAT(1, e) || MAY_BEAT(2, e)))

proctype keepers() {
    byte e, n, age;
    do
    :: atomic {
           if
           :: CAN_BEAT(0) -> e = 0
           :: CAN_BEAT(1) -> e = 1
           :: CAN_BEAT(2) -> e = 2
           :: CAN_BEAT(3) -> e = 3
           fi;
           if
           :: MAY_BEAT(0, e) -> n = 0
           :: MAY_BEAT(1, e) -> n = 1
           :: MAY_BEAT(2, e) -> n = 2
           fi;
           if
           :: WAS_READ(e, 0) -> age = 0
           :: LEASE > 1 && WAS_READ(e, 1) -> age = 1
           :: LEASE > 0 -> age = LEASE
           fi;
           d_step {
               put(n, HB(e, mode_of[e], age));
               printf("a keeper: epoch %d, stamp %d old, to node %d\n", e, age, n);
               e = 0; n = 0; age = 0
           }
       }
    od
}

#define CAN_CLAIM(n) \
    (mode_of[epoch] != OFF && TAKES_WRITES(n) && \
     (cart[n] == NONE || (IS_V(cart[n]) && V_EPOCH(cart[n]) < epoch)))
#define CAN_KEEP \
    ((lock == 0 || is(NO_LOCK_TEST) || is(ONE_STATEMENT)) && \
     (epoch == e || is(TOKEN_AFTER_READ)))
#define CAN_FILL(r, n) \
    (is(FILL_BY_VERSION) \
     -> TAKES_WRITES(n) && IS_V(found[r]) && \
        (cart[n] == NONE || cart[n] == T(r) || \
         (IS_V(cart[n]) && V_STATE(cart[n]) > V_STATE(found[r]))) \
     : HOLDS(n, T(r)))

/* The second of two like processes begins only when the first cannot: any other run of
 * theirs is such a run under other names. */
#define READER_FREE(r) (!reading[r] && !IN_USE(T(r)))

/* READ that was no hit. (1) A token; without one the read changes nothing, and is left
 * out. Only a claim under the epoch in force can be of use; others are no different from
 * one that is dropped. (2) Is the lock free, and the cart; and is the epoch the claim's?
 * The test may fail for no reason. (3) The answer. (4) The fill. */
proctype reader(byte r) {
    byte e, n;
again:
    do
    :: atomic {
           READER_FREE(r) && (r == 0 || !READER_FREE(0)) && !is(TOKEN_AFTER_READ) ->
           if
           :: CAN_CLAIM(0) -> n = 0
           :: CAN_CLAIM(1) -> n = 1
           :: CAN_CLAIM(2) -> n = 2
           fi;
           d_step {
               e = epoch;
               put(n, T(r));
               printf("reader %d, step 1: node %d has its token\n", r, n);
               reading[r] = true; n = 0
           }
       };
       if
       :: d_step { CAN_KEEP ->
              found[r] = V(e, CURRENT);
              printf("reader %d, step 2: the cart, to be kept\n", r)
          }
       :: atomic {
              if
              :: HOLDS(0, T(r)) -> n = 0
              :: HOLDS(1, T(r)) -> n = 1
              :: HOLDS(2, T(r)) -> n = 2
              :: n = NOBODY
              fi;
              d_step {
                  if
                  :: n == NOBODY
                  :: else -> put(n, NONE)
                  fi;
                  printf("reader %d, steps 2 and 4: the cart, the token dropped\n", r);
                  reading[r] = false; e = 0; n = 0
              };
              goto again
          }
       fi;
       goto kept
    :: d_step { is(TOKEN_AFTER_READ) && READER_FREE(r) && CAN_KEEP ->
           found[r] = V(epoch, CURRENT);
           reading[r] = true;
           printf("reader %d, step 2: the cart, to be kept\n", r)
       };
       atomic {
           if
           :: CAN_CLAIM(0) -> n = 0
           :: CAN_CLAIM(1) -> n = 1
           :: CAN_CLAIM(2) -> n = 2
           fi;
           d_step {
               put(n, T(r)); n = 0;
               printf("reader %d, step 1, too late: node %d has its token\n", r, n)
           }
       };
kept:  if
       :: is(ONE_STATEMENT) -> d_step {
              lock == 0 -> printf("reader %d: the lock is free\n", r)
          }
       :: else
       fi;
       atomic {
           if
           :: CAN_FILL(r, 0) -> n = 0
           :: CAN_FILL(r, 1) -> n = 1
           :: CAN_FILL(r, 2) -> n = 2
           :: n = NOBODY /* it is gone, or the reader is */
           fi;
           if
           :: n != NOBODY ->
              if
              :: is(TAG_BY_LATEST) -> found[r] = V(epoch, V_STATE(found[r]))
              :: else
              fi;
              printf("reader %d, step 4: node %d has ", r, n);
              say(found[r]);
              d_step { put(n, found[r]) }
           :: else
           fi;
           found[r] = NOT_YET; reading[r] = false; e = 0; n = 0
       }
    od
}

/* A hit whose MGET is run long after the request was accepted and the clock read: up to
 * MAX_AGE - LEASE ticks. */
#define SLOW_HIT(n) \
    (MAY_ANSWER(n) && slow_age < MAX_AGE - LEASE && HB_AGE(hb[n]) <= slow_age + LEASE)

/* While it is on its way, what it may still show is LATELY. */
inline age_lately(value) {
    if
    :: IS_V(value) && V_STATE(value) == LATELY -> value++
    :: else
    fi
}

proctype slow_reader() {
    do
    :: d_step {
           slow_clock = true; printf("the slow reader takes the clock\n");
           slow_reads = !is(CLOCK_BEFORE_REQUEST)
       };
       if
       :: is(CLOCK_BEFORE_REQUEST) ->
          d_step { slow_reads = true; printf("the slow reader's request comes\n") }
       :: else
       fi;
       atomic {
           if
           :: SLOW_HIT(0) && V_STATE(cart[0]) == OLD -> stale(0)
           :: SLOW_HIT(1) && V_STATE(cart[1]) == OLD -> stale(1)
           :: SLOW_HIT(1) && V_STATE(cart[1]) == LATELY && slow_age > 0 ->
              printf("reached: a slow hit\n")
           :: true
           fi;
           d_step {
               for (i : 0 .. NODES - 1) {
                   age_lately(cart[i]);
                   for (c : 0 .. STRIDE - 1) {
                       age_lately(queue[i * STRIDE + c])
                   }
               }
               for (i : 0 .. READERS - 1) { age_lately(found[i]) }
               for (i : 0 .. WRITERS - 1) { age_lately(written[i]) }
               slow_reads = false; slow_clock = false; slow_age = 0; i = 0; c = 0
           }
       }
    od
}

/* Rule (a): every other configured node is listed at the master, online, with the
 * tombstone behind it; and no other node is. */
#define HAS_ALL(d, n, x) (up[d] == n && !WAITS_FOR(d, x))
#define NAMED(d, n, x) \
    (d == n || (d < CONFIGURED -> HAS_ALL(d, n, x) : up[d] != n || is(STRANGER_IGNORED)))
#define COUNTED(n, x) (HAS_ALL(0, n, x) + HAS_ALL(1, n, x) + HAS_ALL(2, n, x))
#define ACKNOWLEDGED(n, x) \
    (is(WAIT_FRESH_CONNECTION) || \
     (is(WAIT_COUNTS) && COUNTED(n, x) >= CONFIGURED - 1) || \
     (n != NOBODY && replid[n] == replid_of[e] && \
      NAMED(0, n, x) && NAMED(1, n, x) && NAMED(2, n, x)))
#define MAY_SET(n) \
    (TAKES_WRITES(n) && (replid[n] == replid_of[e] || is(TOMBSTONE_UNCHECKED)))
#define NO_MASTER(r) (replid[0] != r && replid[1] != r && replid[2] != r)

/* What this writer takes for the time since it first read the epoch: at the longest, as
 * another request of its process may have, since the epoch could be read at all. */
#define SINCE_FIRST_READ (is(TRUST_CHANGED_AT) -> begun_age : visible_age)

#define NONCE_FREE(x) (!IN_USE(x) && late != x)
#define WRITER_FREE(w) \
    (!writing[w] && NONCE_FREE(X(w)) && NONCE_FREE(X(w + WRITERS)) && \
     NONCE_FREE(X(w + 2 * WRITERS)))

inline commit() {
    d_step {
        if
        :: slow_reads -> outdate_all(LATELY)
        :: else -> outdate_all(OLD)
        fi;
        lock = 0;
        written[w] = V(tag, CURRENT);
        unseen = is(HOLD_AFTER_COMMIT);
        printf("writer %d, step 4: COMMIT\n", w)
    }
}

inline end_hold() {
    if
    :: is(HOLD_AFTER_COMMIT) -> unseen = false
    :: else -> commit()
    fi
}

inline read_epoch() {
    e = epoch;
    tag = e;
    mode = mode_of[e];
    printf("writer %d, step 1: the lock, epoch %d, mode %e\n", w, e, mode)
}

/* WRITE. (1) The lock, and the epoch under it. (2) The tombstone. (3) The hold. (4)
 * COMMIT, (5) the answer. (6) The fill. Tries of the tombstone have nonces of their own.
 */
proctype writer(byte w) {
    byte e, tag, mode, n, nonce;
    do
    :: atomic {
           lock == 0 && WRITER_FREE(w) && (w == 0 || !WRITER_FREE(0)) ->
           lock = w + 1;
           writing[w] = true;
           nonce = X(w);
           if
           :: is(FIRST_READ_BY_ASKING) ->
              hold_age[w] = 0; printf("writer %d takes the clock and asks\n", w)
           :: else ->
              read_epoch(); hold_age[w] = SINCE_FIRST_READ
           fi
       };
       if
       :: is(FIRST_READ_BY_ASKING) -> d_step { read_epoch() }
       :: else
       fi;
set:   if
       :: mode == OFF -> n = NOBODY
       :: atomic {
              if
              :: mode != OFF && MAY_SET(0) -> n = 0
              :: mode != OFF && MAY_SET(1) -> n = 1
              :: mode != OFF && MAY_SET(2) -> n = 2
              fi;
              d_step {
                  put(n, nonce);
                  if
                  :: mode == REPLICAS -> hold_age[w] = 0
                  :: else
                  fi;
                  printf("writer %d, step 2: node %d has tombstone %d\n",
                         w, n, nonce - X(0))
              }
          }
       :: atomic { FAILURES && mode != OFF && w == 0 && !late &&
                   nonce < X(2 * WRITERS) ->
              late = nonce;
              late_replid = replid_of[e];
              if
              :: is(SAME_NONCE)
              :: else -> nonce = nonce + WRITERS
              fi;
              printf("writer %d, step 2: of tombstone %d nothing is known\n",
                     w, late - X(0))
          };
          goto set
       :: atomic { mode != OFF && (FAILURES || NO_MASTER(replid_of[e])) ->
              n = NOBODY; printf("writer %d, step 2: no tombstone\n", w)
          };
          if
          :: is(SET_REFUSED_IGNORED)
          :: atomic { !is(SET_REFUSED_IGNORED) && epoch + 1 < EPOCHS && epoch == e ->
                 printf("writer %d moves the epoch\n", w);
                 move(OFF, 0, 0); e = epoch; mode = OFF; hold_age[w] = SINCE_FIRST_READ }
          :: atomic { !is(SET_REFUSED_IGNORED) && epoch != e -> /* somebody else did */
                 e = epoch; mode = mode_of[e]; hold_age[w] = SINCE_FIRST_READ };
             goto set
          :: !is(SET_REFUSED_IGNORED) && epoch + 1 == EPOCHS && epoch == e -> goto give_up
          fi
       fi;
       if
       :: is(HOLD_AFTER_COMMIT) -> commit()
       :: else
       fi;
       if
       :: atomic { mode == REPLICAS && ACKNOWLEDGED(n, nonce) ->
              printf("writer %d, step 3: rule (a)\n", w) };
          end_hold() /* what was acknowledged is only known to have been */
       :: atomic { mode == REPLICAS && hold_age[w] >= HOLD ->
              printf("writer %d, step 3: rule (b)\n", w); end_hold() }
       :: atomic { mode == MASTER && (hold_age[w] >= HOLD || is(NO_RULE_C_WAIT)) ->
              printf("writer %d, step 3: rule (c), mode master\n", w); end_hold() }
       :: atomic { mode == OFF && (hold_age[w] >= HOLD || is(NO_RULE_C_WAIT)) ->
              printf("writer %d, step 3: rule (c), mode off\n", w); end_hold() }
       :: is(NO_HOLD) -> end_hold()
       :: ROLLBACKS -> goto give_up
       fi;
       goto fill;
give_up:
       atomic {
           lock = 0; printf("writer %d rolls back, or is killed\n", w)
       };
fill:  atomic {
           if
           :: HOLDS(0, nonce) -> n = 0
           :: HOLDS(1, nonce) -> n = 1
           :: HOLDS(2, nonce) -> n = 2
           :: n = NOBODY /* it is gone, or the writer is */
           fi;
           if
           :: n != NOBODY && is(TAG_BY_LATEST) && written[w] ->
              written[w] = V(epoch, V_STATE(written[w]))
           :: else
           fi;
           if
           :: n != NOBODY && written[w] ->
              printf("writer %d, step 6: node %d has ", w, n);
              say(written[w])
           :: n != NOBODY && !written[w] -> printf("writer %d takes it back\n", w)
           :: else
           fi;
           d_step {
               if
               :: n != NOBODY -> put(n, written[w])
               :: else
               fi;
               written[w] = NONE; writing[w] = false;
               e = 0; tag = 0; mode = 0; n = 0; nonce = 0; hold_age[w] = MAX_AGE
           }
       }
    od
}
