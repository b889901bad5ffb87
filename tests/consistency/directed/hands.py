"""Other hands: somebody at psql, who knows nothing of the cache."""
import json

import door

UPDATED_AT = "2030-01-01T00:00:00.500000Z"
ADD = """BEGIN;
UPDATE cart SET version = version + 1, updated_at = '""" + UPDATED_AT + """'
    WHERE user_id = '%(cart)s';
UPDATE cart_item SET quantity = quantity + 1 WHERE user_id = '%(cart)s';
COMMIT"""
# Until the cache has followed: a lease, and more than a tick.
FOLLOWS = 0.6


def answer_after(seen):
    """What the service must answer after ADD; seen: its answer before, a cart of one
    line whose price is 1.00."""
    cart = json.loads(seen.body)
    units, version = cart["item_count"], cart["version"]
    body = seen.body.decode()
    for old, new in (('"version":%d,', version), ('"quantity":%d,', units),
                     ('"subtotal":%d.', units), ('"item_count":%d,', units),
                     ('"total":%d.', units)):
        body = body.replace(old % new, old % (new + 1))
    answer = door.Answer()
    answer.status = 200
    answer.headers["etag"] = '"%d"' % (version + 1)
    answer.body = body.replace(cart["updated_at"], UPDATED_AT).encode()
    return answer
