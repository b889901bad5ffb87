"""PostgreSQL killed and stopped, sessions ended, and carts changed by other hands."""
from lib.stack import until

END_SESSIONS = ("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()")
# Carts that the load does not know: what it counts must add up.
OTHER_CART = "other-hands"
OTHER_CHANGE = ("UPDATE cart SET version = version + 1 WHERE user_id = '%s'" % OTHER_CART)


def killed(stage, seconds=0.5):
    with stage.dead("postgres"):
        stage.wait(seconds)


def stopped(stage, seconds):
    with stage.stopped("postgres"):
        stage.wait(seconds)


def restarted_with_master(stage):
    """PostgreSQL and the Redis master at once: nobody remembers anything."""
    with stage.dead("postgres", stage.master().part):
        pass


def sessions_ended(stage, times=4):
    for _ in range(times):
        stage.stack.psql(END_SESSIONS)
        stage.wait(stage.chance.uniform(0.2, 0.7))


def other_cart(stage):
    client = stage.stack.client()
    client.request("POST", "/cart/%s/add" % OTHER_CART,
                   {"product_id": 1, "name": "n", "price": 1})
    client.close()


def other_hands(stage, times=8):
    """Each change raises the epoch: all that is cached counts no more."""
    other_cart(stage)
    for _ in range(times):
        stage.stack.psql(OTHER_CHANGE)
        stage.wait(stage.chance.uniform(0.1, 0.5))


def long_transaction(stage, rollback=False):
    """Other hands' change is under way while the mode changes twice, and becomes visible
    after that: the epoch must not stand still for it, nor repeat."""
    other_cart(stage)
    with stage.stack.session() as session:
        session.run("BEGIN")
        session.run(OTHER_CHANGE)
        epoch = stage.state()[0]
        with stage.dead(stage.replicas()[0].part):
            moved = until(lambda: stage.state()[0] != epoch, 5, 0.05)
            stage.wait(0.5)
        if not moved:
            raise RuntimeError("the epoch cannot move beside an open transaction")
        until(lambda: stage.state()[1] == "replicas", 15, 0.05)
        session.run("ROLLBACK" if rollback else "COMMIT")
        stage.wait(0.7)
