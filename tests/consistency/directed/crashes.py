"""Scenarios about what a crash may not take away."""
import time


def postgres_killed(s):
    """PostgreSQL is killed right after it has committed"""
    cart = s.hot_cart()
    for _ in range(3):
        s.must_add(s.a, cart)
    s.stack.kill("postgres")
    s.stack.start("postgres")
    end = time.monotonic() + 10
    while s.read(s.b, cart).status != 200 and time.monotonic() < end:
        time.sleep(0.1)


SCENARIOS = (postgres_killed,)
