"""Scenarios about epochs and modes: who is the master, and since when."""
import time

from switch import Switch


def tombstone_refused(s):
    """the master refuses a tombstone, and soon takes heartbeats again"""
    cart = s.hot_cart()
    time.sleep(0.4)  # longer than the hold since A knows of the epoch
    s.master.call("CONFIG", "SET", "min-replicas-to-write", 5)
    s.must_add(s.a, cart)
    s.read_all(s.b, cart)
    s.master.call("CONFIG", "SET", "min-replicas-to-write", 0)
    s.settle()
    s.read_all(s.b, cart)


def mode_moved_late(s):
    """a change of mode becomes visible long after it was made, and a cart is written"""
    cart = s.hot_cart()
    with s.stack.session() as session:
        session.run("BEGIN; SELECT cache_move((SELECT epoch FROM cache_state), 'master',"
                    " (SELECT master FROM cache_state),"
                    " (SELECT master_replid FROM cache_state))")
        time.sleep(0.5)
        s.warm(cart, s.b)
        s.hold_back()
        session.run("COMMIT")
    s.must_add(s.a, cart)
    s.read_all(s.b, cart)


def other_hands(s):
    """psql changes a cart"""
    s.keeper()
    cart = s.hot_cart()
    s.by_hand(cart)
    s.read_all(s.b, cart)


def master_follows(s):
    """a process takes a node for the master that follows another one by now"""
    s.move("master", s.master)
    cart = s.new_cart()
    s.must_add(s.a, cart)
    s.warm(cart, s.a, nodes=[s.master])
    s.arrived()
    s.first.promote()
    proxy = s.behind_proxy(s.master, s.first)
    s.move("master", s.first)
    s.must_read_database(s.b)
    s.warm(cart, s.b, nodes=[s.first])
    s.in_step(s.first, s.master)
    s.arrived(s.first, s.master)
    time.sleep(0.4)  # longer than the hold since B knows of the epoch
    proxy.tell("down", "hold")
    s.must_add(s.b, cart)
    s.read_all(s.a, cart)


def two_masters(s):
    """a process has not heard of the new master when it writes"""
    cart = s.hot_cart()
    s.first.promote()
    s.move("master", s.first)
    s.must_read_database(s.a)
    s.settle()  # else the hit that is waited for may be one of the epoch before
    s.warm(cart, s.a, nodes=[s.first])
    s.must_add(s.b, cart)
    s.read_all(s.a, cart)


def two_at_one_address(s):
    """the master's address leads to another node by now, but not on old connections"""
    with Switch(s.master.port) as switch:
        s.beat.addresses[switch.addr] = s.master
        s.move("master", s.master, switch.addr)
        a = s.program("a2", REDIS_MASTER=switch.addr)
        cart = s.new_cart()
        s.must_add(a, cart)
        s.warm(cart, a, nodes=[s.master])
        s.arrived()
        s.first.promote()
        switch.port = s.first.port
        s.beat.addresses[switch.addr] = s.first
        s.move("master", s.first, switch.addr)
        b = s.program("b2", REDIS_MASTER=switch.addr)
        s.must_read_database(a)
        s.warm(cart, b, nodes=[s.master])  # the name of the place, not of the node
        time.sleep(0.4)  # longer than the hold since A knows of the epoch
        s.must_add(a, cart)
        s.read_all(b, cart)


def two_streams(s):
    """the keeper still talks to the old master when a new one has the address"""
    with Switch(s.master.port) as switch, s.stack.session() as session:
        s.beat.pause()
        s.move("replicas", s.master, switch.addr)
        a = s.program("a2", REDIS_MASTER=switch.addr)
        keeper = s.keeper(REDIS_MASTER=switch.addr)
        cart = s.new_cart()
        s.must_add(a, cart)
        s.warm(cart, a, nodes=[s.first])
        keeper.stop()
        s.second.promote()
        switch.port = s.second.port
        s.move("replicas", s.second, switch.addr)
        session.run("BEGIN; SELECT FROM cache_epoch FOR UPDATE")  # nobody moves it
        keeper.go_on()
        s.must_read_database(a)
        s.settle()
        s.read_all(a, cart)
        b = s.program("b2", REDIS_MASTER=switch.addr)
        s.must_add(b, cart)
        s.read_all(a, cart)


def off_meanwhile(s):
    """the cache was off while a reader waited for the database, and a cart was written"""
    cart = s.cold_cart()
    with s.middle.hold_answer("cart_load") as gate:
        reading = s.later(s.read, s.a, cart)
        s.must_reach(gate)
        s.move("off", s.master)
        s.must_add(s.b, cart)
        s.move("replicas", s.master)
        s.must_read_database(s.a)
    reading.result()
    s.settle()
    s.read_all(s.b, cart)


def mode_moved_behind_lock(s):
    """a mode is changed while a writer waits for the cart's lock"""
    cart = s.hot_cart()
    with s.stack.session() as session:
        session.run("SELECT pg_advisory_lock(hashtextextended('%s', 0))" % cart)
        writing = s.later(s.add, s.b, cart)
        time.sleep(0.6)  # longer than a hold
        s.warm(cart, s.a)
        s.hold_back()
        s.move("master", s.master)
        session.run("SELECT pg_advisory_unlock_all()")
        writing.result()
    s.read_all(s.a, cart)


def late_tombstone(s):
    """a tombstone arrives long after its writer has set it again and committed"""
    with Switch(s.master.port) as switch:
        s.beat.addresses[switch.addr] = s.master
        s.move("replicas", s.master, switch.addr)
        a = s.program("a2", REDIS_MASTER=switch.addr)
        b = s.program("b2", REDIS_MASTER=switch.addr)
        cart = s.new_cart()
        s.must_add(a, cart)
        s.warm(cart, a, b)
        with a.stopping_at("write-6"):
            switch.hold_back(b"\nX ")
            s.must_add(a, cart)
            a.wait_stopped()
            s.must(switch.held.is_set(), "no tombstone was kept back")
            s.must_add(b, cart)
            s.settle()
            switch.release()
            s.settle()
        s.settle()
        s.read_all(b, cart)


SCENARIOS = (tombstone_refused, mode_moved_late, other_hands, master_follows,
             two_masters, two_at_one_address, two_streams, off_meanwhile,
             mode_moved_behind_lock, late_tombstone)
