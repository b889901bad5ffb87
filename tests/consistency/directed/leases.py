"""Scenarios about what replicas show: leases, heartbeats, the hold before COMMIT."""
import time


def replicas_held_back(s):
    """nothing reaches the replicas while a process makes its first write"""
    cart = s.hot_cart()
    time.sleep(1.1)  # until the replicas have acknowledged all of it, by themselves
    s.hold_back()
    s.must_add(s.b, cart)
    s.read_all(s.a, cart)
    s.let_pass()
    s.settle()
    s.read_all(s.a, cart)


def replicas_stopped(s):
    """the replicas stand still while a cart is written, then have much to catch up on"""
    cart = s.hot_cart()
    for node in s.replicas:
        s.stack.freeze(node.part)
    try:
        for number in range(40):  # more than they read at once
            s.master.call("SET", "junk:%d" % number, "x" * 30000, "PX", 5000)
        s.must_add(s.a, cart)
        readings = [s.later(s.read, s.b, cart) for _ in range(4)]
        time.sleep(0.04)
    finally:
        for node in s.replicas:
            s.stack.thaw(node.part)
    for reading in readings:
        reading.result()


def one_held_back(s):
    """one replica hears of a write, the other does not, and both are read meanwhile"""
    cart = s.hot_cart()
    s.hold_back(s.first)
    writing = s.later(s.add, s.a, cart)
    while writing.is_alive():
        s.read(s.b, cart)
    s.read_all(s.b, cart)
    writing.result()


def third_for_one(s):
    """a replica that nobody has configured acknowledges for one that is held back"""
    s.extra_replica()
    cart = s.hot_cart()
    s.hold_back(s.first)
    s.must_add(s.a, cart)
    s.read_all(s.b, cart)


def led_away(s):
    """a replica that has acknowledged is made to follow an unknown one that is behind"""
    stranger = s.extra_replica()
    proxy = s.behind_proxy(stranger, s.master)
    cart = s.hot_cart()
    s.in_step(s.master, stranger)
    s.arrived(s.master, stranger)
    proxy.tell("down", "hold")
    s.must_add(s.a, cart)
    s.first.follow(stranger.port)
    s.wait_up(s.first)
    s.read_all(s.b, cart)


def late_heartbeat(s):
    """a heartbeat arrives after the epoch has moved and a cart was written"""
    cart = s.hot_cart()
    s.beat.pause()
    asked = s.beat.ask()
    s.move("off", s.master)
    s.must_add(s.a, cart)
    s.must(s.beat.send(asked, px=300), "the old heartbeat was refused")
    s.arrived()
    s.read_all(s.b, cart)


def keeper_stopped(s):
    """the keeper stands still between its question and its heartbeat"""
    keeper = s.keeper()
    cart = s.hot_cart()
    with keeper.stopping_at("beat-2"):
        keeper.wait_stopped()
        s.move("off", s.master)
        s.must_add(s.a, cart)
    until_beat = time.monotonic() + 0.25
    while time.monotonic() < until_beat:
        s.read(s.b, cart)


def reader_stopped(s):
    """a process stands still while a cart is written, then answers a request"""
    cart = s.hot_cart()
    s.hold_back()
    s.read_all(s.b, cart, 2)
    s.b.stop()
    s.must_add(s.a, cart)
    s.b.go_on()
    s.read_all(s.b, cart)


def mode_master(s):
    """a process that has not heard of mode master reads a replica that is held back"""
    cart = s.hot_cart()
    s.move("master", s.master)
    s.warm(cart, s.a, nodes=[s.master])
    s.arrived()
    time.sleep(0.4)  # longer than the hold since A knows of the epoch
    s.hold_back()
    s.must_add(s.a, cart)
    s.read_all(s.b, cart)


SCENARIOS = (replicas_held_back, replicas_stopped, one_held_back, third_for_one, led_away,
             late_heartbeat, keeper_stopped, reader_stopped, mode_master)
