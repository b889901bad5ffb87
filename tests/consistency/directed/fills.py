"""Scenarios about what gets into the cache: tokens, tombstones, locks, snapshots."""
import time


def old_filler(s):
    """a reader that read long ago fills after a write and a FLUSHALL"""
    cart = s.cold_cart()
    with s.a.stopping_at("read-4"):
        s.read(s.a, cart)
        s.a.wait_stopped()
        s.must_add(s.b, cart)
        s.master.call("FLUSHALL")
    s.settle()
    s.read_all(s.b, cart)


def old_filler_new_token(s):
    """a reader that read long ago fills while another one has a token"""
    cart = s.cold_cart()
    with s.a.stopping_at("read-4"), s.b.stopping_at("read-4"):
        s.read(s.a, cart)
        s.a.wait_stopped()
        s.must_add(s.b, cart)
        s.evict(cart)
        s.read(s.b, cart)
        s.b.wait_stopped()
        s.a.go_on()
        s.settle()
        s.read_all(s.a, cart)


def old_writer_new_tombstone(s):
    """a writer fills while the tombstone of the next writer stands"""
    cart = s.hot_cart()
    with s.a.stopping_at("write-6"), s.b.stopping_at("write-6"):
        s.must_add(s.a, cart)
        s.a.wait_stopped()
        s.must_add(s.b, cart)
        s.b.wait_stopped()
        s.a.go_on()
        s.settle()
        s.read_all(s.a, cart)


def filler_beside_writer(s):
    """a reader fills while a writer whose tombstone was evicted is about to commit"""
    cart = s.cold_cart()
    with s.b.stopping_at("write-4"):
        writing = s.later(s.add, s.b, cart)
        s.b.wait_stopped()
        s.evict(cart)
        s.read_all(s.a, cart, 2)
        s.b.go_on()
        writing.result()
    s.settle()
    s.read_all(s.a, cart)


def commit_beside_lock_test(s):
    """a writer commits between the snapshot of a reader's statement and its lock test"""
    cart = s.cold_cart()
    with s.b.stopping_at("write-4"):
        writing = s.later(s.add, s.b, cart)
        s.b.wait_stopped()
        s.evict(cart)
        with s.middle.hold_after_bind("cart_try_lock", "cart_load") as gate:
            reading = s.later(s.read, s.a, cart)
            s.must_reach(gate)
            s.b.go_on()
            writing.result()
        reading.result()
    s.settle()
    s.read_all(s.a, cart)


def commit_inside_read(s):
    """a writer commits while a reader is between two statements"""
    cart = s.hot_cart()
    with s.b.stopping_at("write-4"):
        writing = s.later(s.add, s.b, cart)
        s.b.wait_stopped()
        with s.middle.hold_after_execute("cart_load") as gate:
            reading = s.later(s.read, s.a, cart)
            s.must_reach(gate)
            s.b.go_on()
            writing.result()
        reading.result()


def miss_behind_miss(s):
    """a reader misses while an older read of the same cart waits for the database"""
    cart = s.cold_cart()
    with s.middle.hold_answer("cart_load") as gate:
        first = s.later(s.read, s.a, cart)
        s.must_reach(gate)
        s.must_add(s.b, cart)
        s.evict(cart)
        second = s.later(s.read, s.a, cart)
        time.sleep(0.1)
    first.result()
    second.result()


def commit_lost(s):
    """the connection is lost before COMMIT has come to PostgreSQL"""
    cart = s.hot_cart()
    with s.middle.lose("commit"):
        lost = s.add(s.a, cart)
    s.must(lost.status == 503 and b"outcome-unknown" in lost.body, lost)
    s.settle()
    s.read_all(s.b, cart)
    s.evict(cart)
    s.read_all(s.b, cart)


SCENARIOS = (old_filler, old_filler_new_token, old_writer_new_tombstone,
             filler_beside_writer, commit_beside_lock_test, commit_inside_read,
             miss_behind_miss, commit_lost)
