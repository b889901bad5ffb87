/* PostgreSQL: commits, and who changes the epoch. Commits become visible to all at once,
 * in one order; a change of mode perhaps long after it was begun. */

/* A change of the cart is committed: what is CURRENT anywhere is now in state `then`. */
inline outdate(value, then) {
    if
    :: IS_V(value) && V_STATE(value) < then ->
       value = value - V_STATE(value) + then
    :: else
    fi
}

inline outdate_all(then) {
    for (i : 0 .. NODES - 1) {
        outdate(cart[i], then);
        for (c : 0 .. STRIDE - 1) {
            outdate(queue[i * STRIDE + c], then)
        }
    }
    for (i : 0 .. READERS - 1) { outdate(found[i], then) }
    for (i : 0 .. WRITERS - 1) { outdate(written[i], then) }
    i = 0; c = 0
}

/* cache_move: the epoch after this one. */
inline move(new_mode, new_replid, new_address) {
    if
    :: is(MODE_SAME_EPOCH)
    :: else -> epoch++; visible_age = 0
    fi;
    mode_of[epoch] = new_mode;
    replid_of[epoch] = new_replid;
    address_of[epoch] = new_address;
    printf("epoch %d, mode %e, can be read\n", epoch, new_mode)
}

#define MAY_MOVE \
    (MOVES && epoch + 1 < EPOCHS && (moving || !is(TRUST_CHANGED_AT)))

/* Keepers' changes of mode and master. They may choose anything: no rule rests on when a
 * mode is right. A master that is none any more by the time the change is seen is the
 * same as one that is lost right after it. */
proctype changes() {
    byte n;
    do
    :: d_step { MOVES && is(TRUST_CHANGED_AT) && !moving && epoch + 1 < EPOCHS ->
           moving = true; begun_age = 0; printf("a change of mode is begun\n") }
    :: atomic {
           if
           :: MAY_MOVE && replid[0] -> n = 0
           :: MAY_MOVE && replid[1] -> n = 1
           :: MAY_MOVE && replid[2] -> n = 2
           fi;
           if
           :: true -> move(REPLICAS, replid[n], n)
           :: true -> move(MASTER, replid[n], n)
           fi;
           moving = false;
           n = 0
       }
    :: atomic { MAY_MOVE -> move(OFF, 0, 0); moving = false }
    :: atomic { HANDS && !hands_done && epoch + 1 < EPOCHS ->
           printf("other hands change the cart, and so the epoch\n");
           d_step {
               mode_of[epoch + 1] = mode_of[epoch];
               replid_of[epoch + 1] = replid_of[epoch];
               address_of[epoch + 1] = address_of[epoch];
               epoch = epoch + !is(HANDS_UNNOTICED);
               visible_age = 0;
               outdate_all(LATELY);
               hands_age = 0;
               hands_done = true
           }
       }
    od
}
