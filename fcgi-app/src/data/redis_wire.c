// hiredis on the loop: an adapter like those it ships, but for one thing: it gathers
// writes.

#include "data/redis_wire.h"

#include <talloc.h>

#include "base/mem.h"
#include "loop/loop.h"

static struct redis_wire *dirty;
static bool flushing;

static void on_readable(struct ev_loop *l, ev_io *io, int events)
{
    (void)l;
    (void)events;
    redisAsyncHandleRead(((struct redis_wire *)io->data)->ac);
}

static void on_writable(struct ev_loop *l, ev_io *io, int events)
{
    (void)l;
    (void)events;
    redisAsyncHandleWrite(((struct redis_wire *)io->data)->ac);
}

static void add_read(void *privdata)
{
    struct redis_wire *wire = privdata;
    ev_io_start(loop_ev(), &wire->readable);
}

static void del_read(void *privdata)
{
    struct redis_wire *wire = privdata;
    ev_io_stop(loop_ev(), &wire->readable);
}

// hiredis has something to send. Its watcher is only for what a flush could not send, and
// for learning that the connection stands.
static void add_write(void *privdata)
{
    struct redis_wire *wire = privdata;
    if (flushing || !(wire->ac->c.flags & REDIS_CONNECTED)) {
        ev_io_start(loop_ev(), &wire->writable);
    } else if (!wire->dirty && !ev_is_active(&wire->writable)) {
        wire->dirty = true;
        wire->next_dirty = dirty;
        dirty = wire;
    }
}

static void del_write(void *privdata)
{
    struct redis_wire *wire = privdata;
    ev_io_stop(loop_ev(), &wire->writable);
}

static void cleanup(void *privdata)
{
    struct redis_wire *wire = privdata;
    ev_io_stop(loop_ev(), &wire->readable);
    ev_io_stop(loop_ev(), &wire->writable);
    struct redis_wire **at = &dirty;
    while (*at && *at != wire)
        at = &(*at)->next_dirty;
    if (*at)
        *at = wire->next_dirty;
    wire->dirty = false;
    wire->ac = NULL;
}

static void flush_all(void)
{
    flushing = true;
    while (dirty) {
        struct redis_wire *wire = dirty;
        dirty = wire->next_dirty;
        wire->dirty = false;
        redisAsyncHandleWrite(wire->ac);
    }
    flushing = false;
}

void redis_wire_attach(struct redis_wire *wire, redisAsyncContext *ac)
{
    static bool hooked;
    if (!hooked) {
        loop_on_flush(flush_all);
        hooked = true;
    }
    *wire = (struct redis_wire){.ac = ac};
    ev_io_init(&wire->readable, on_readable, ac->c.fd, EV_READ);
    ev_io_init(&wire->writable, on_writable, ac->c.fd, EV_WRITE);
    wire->readable.data = wire->writable.data = wire;
    ac->ev.data = wire;
    ac->ev.addRead = add_read;
    ac->ev.delRead = del_read;
    ac->ev.addWrite = add_write;
    ac->ev.delWrite = del_write;
    ac->ev.cleanup = cleanup;
}

void redis_wire_copy(void *mem, const redisReply *from, struct redis_reply *to)
{
    *to = (struct redis_reply){.type = REDIS_NIL};
    switch (from->type) {
    case REDIS_REPLY_STRING:
    case REDIS_REPLY_STATUS:
        to->type = REDIS_STRING;
        to->len = from->len;
        to->text = mem_must(talloc_memdup(mem, from->str, from->len + 1)); // with its NUL
        break;
    case REDIS_REPLY_INTEGER:
        to->type = REDIS_INTEGER;
        to->integer = from->integer;
        break;
    case REDIS_REPLY_ARRAY:
        to->type = REDIS_ARRAY;
        to->n_items = from->elements;
        to->items = mem_array(mem, struct redis_reply, from->elements);
        for (size_t i = 0; i < from->elements; i++)
            redis_wire_copy(mem, from->element[i], &to->items[i]);
        break;
    default:
        break;
    }
}
