// FastCGI on the loop; the only file that knows libfcgi.
//
// nginx keeps its connections open and sends one request after another on each. libfcgi
// would block in accept and read: here the loop waits for both, and libfcgi is called
// when a request is there to read. Invariant: conn->busy from the moment a connection can
// be read until its reply is sent; only then may the next request be read from it.
//
// What libfcgi does that has to be kept from it: at the end of a connection it would
// accept another (so it is given no listening socket), and closing it would wait up to
// two seconds for the peer (so the request is marked as detached, which closes at once).
// nginx sends a request whole. A connection that does not begin with one is closed; a
// peer that stalls later is cut off by the socket's time-outs.

#include "http/fcgi.h"

#include <errno.h>
#include <ev.h>
#include <fcgiapp.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <talloc.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "http/dispatch.h"
#include "http/request.h"
#include "loop/co.h"
#include "loop/loop.h"

#define MS 1000000LL
#define STALL_MS 1000 // a read or write that stops in the middle of a record
#define DRAIN_S 10.
#define SETTLE_S 5.   // nginx closes its connections within 0.6 s, unless it stands still
#define PAUSE_S 0.1   // of the listener, while there are no descriptors
#define AFTER_MS 1000 // for what is left to do after an answer

struct conn {
    int fd;
    bool busy;
    bool used; // has carried a request
    ev_io readable;
    FCGX_Request fcgi;
    struct conn *prev, *next;
};

static const struct config *config;
static ev_io listener;
static ev_timer listen_again, settle_timer, drain_timer;
static struct conn *conns;
static unsigned in_work;
static bool draining, settled; // settled: no further request is waited for

// The end of draining: nobody can send a request any more, and none is in work.
static void stop_if_drained(void)
{
    if (draining && !conns && in_work == 0)
        loop_stop();
}

static void conn_close(struct conn *conn)
{
    ev_io_stop(loop_ev(), &conn->readable);
    if (conn->fd >= 0)
        close(conn->fd);
    if (conn->prev)
        conn->prev->next = conn->next;
    else
        conns = conn->next;
    if (conn->next)
        conn->next->prev = conn->prev;
    free(conn);
    stop_if_drained();
}

// Reading a request

static const struct {
    const char *name;
    enum method method;
} methods[] = {{"GET", METHOD_GET},
               {"HEAD", METHOD_HEAD},
               {"POST", METHOD_POST},
               {"PUT", METHOD_PUT}};

static void set_method(struct request *req, const char *name)
{
    req->method = METHOD_OTHER;
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (strcmp(name, methods[i].name) == 0) {
            req->method = methods[i].method;
            req->method_name = methods[i].name;
            return;
        }
    req->method_name = mem_strndup(req->work.mem, name, strlen(name));
}

enum param {
    PARAM_METHOD,
    PARAM_URI,
    PARAM_LENGTH,
    PARAM_ID,
    PARAM_TYPE,
    PARAM_IF_MATCH,
    PARAM_IF_NONE_MATCH,
    PARAM_KEY,
    PARAM__MAX
};

// What nginx sends, and where a copy of it goes: the first three are looked at here.
static const struct {
    const char *name;
    size_t offset; // in struct request
} params[PARAM__MAX] = {
    [PARAM_METHOD] = {"REQUEST_METHOD=", 0},
    [PARAM_URI] = {"REQUEST_URI=", 0},
    [PARAM_LENGTH] = {"CONTENT_LENGTH=", 0},
    [PARAM_ID] = {"REQUEST_ID=", offsetof(struct request, id)},
    [PARAM_TYPE] = {"CONTENT_TYPE=", offsetof(struct request, content_type)},
    [PARAM_IF_MATCH] = {"HTTP_IF_MATCH=", offsetof(struct request, if_match)},
    [PARAM_IF_NONE_MATCH] = {"HTTP_IF_NONE_MATCH=",
                             offsetof(struct request, if_none_match)},
    [PARAM_KEY] = {"HTTP_IDEMPOTENCY_KEY=", offsetof(struct request, idempotency_key)},
};

// Finds the values of params; one that is not there stays NULL, and the first one counts.
static void find_params(char *const *env, const char *found[PARAM__MAX])
{
    for (; *env; env++)
        for (int i = 0; i < PARAM__MAX; i++) {
            size_t len = strlen(params[i].name);
            if (!found[i] && strncmp(*env, params[i].name, len) == 0) {
                found[i] = *env + len;
                break;
            }
        }
}

// Reads the body to its end, also where nobody wants it: what is left would be taken for
// the beginning of the next request. False when it is not as long as announced.
static bool read_body(struct conn *conn, struct request *req, size_t announced)
{
    char rest[4096];
    size_t wanted = announced <= REQUEST_BODY_MAX ? announced : 0, got = 0;
    char *body = NULL;
    if (wanted > 0) {
        body = mem_must(talloc_size(req->work.mem, wanted + 1));
        got = (size_t)FCGX_GetStr(body, (int)wanted, conn->fcgi.in);
        body[got] = '\0';
    }
    for (int n; (n = FCGX_GetStr(rest, sizeof rest, conn->fcgi.in)) > 0;)
        got += (size_t)n;
    req->body = body ? body : "";
    req->body_len = wanted;
    req->body_too_large = announced > REQUEST_BODY_MAX;
    return got == announced && FCGX_GetError(conn->fcgi.in) == 0;
}

static bool read_request(struct conn *conn, struct request *req)
{
    void *mem = req->work.mem;
    const char *found[PARAM__MAX] = {NULL};
    find_params(conn->fcgi.envp, found);
    if (!found[PARAM_METHOD] || !found[PARAM_URI])
        return false;
    set_method(req, found[PARAM_METHOD]);
    req->path = mem_strndup(mem, found[PARAM_URI], strcspn(found[PARAM_URI], "?"));
    for (int i = PARAM_ID; i < PARAM__MAX; i++)
        if (found[i])
            *(const char **)((char *)req + params[i].offset) =
                mem_strndup(mem, found[i], strlen(found[i]));
    const char *length = found[PARAM_LENGTH];
    return read_body(conn, req, length ? strtoul(length, NULL, 10) : 0);
}

// Sending a reply

// The phrase after the status code; that of an error is its title.
static const char *phrase_of(int status)
{
    if (status == 201)
        return "Created";
    if (status == 304)
        return "Not Modified";
    for (enum err_code code = ERR_NONE; code < ERR__MAX; code++)
        if (err_status(code) == status)
            return err_title(code);
    return "";
}

static void put_duration(struct buf *b, int64_t ns)
{
    int64_t us = ns / 1000;
    char fraction[] = {'.', (char)('0' + us / 100 % 10), (char)('0' + us / 10 % 10),
                       (char)('0' + us % 10)};
    buf_add_str(b, ";dur=");
    buf_add_int(b, us / 1000);
    buf_add(b, fraction, sizeof fraction);
}

// Server-Timing (W3C): milliseconds with microsecond digits.
static void put_timing(struct buf *b, const struct request *req)
{
    const struct work *work = &req->work;
    int64_t total = clock_mono_ns() - req->begun;
    buf_add_str(b, "Server-Timing: app");
    put_duration(b, total - work->redis_ns - work->db_ns);
    if (work->redis_ns > 0) {
        buf_add_str(b, ", redis");
        if (work->redis_node) {
            buf_add_str(b, ";desc=\"");
            buf_add_str(b, work->redis_node);
            buf_add_char(b, '"');
        }
        put_duration(b, work->redis_ns);
    }
    if (work->db_ns > 0) {
        buf_add_str(b, ", db");
        put_duration(b, work->db_ns);
    }
    buf_add_str(b, "\r\n");
}

static void put_line(struct buf *b, const char *name, const char *value)
{
    buf_add_str(b, name);
    buf_add_str(b, value);
    buf_add_str(b, "\r\n");
}

static bool send_reply(struct conn *conn, struct request *req)
{
    static const char *const cache[] = {NULL, "HIT", "MISS", "BYPASS"};
    struct reply *reply = &req->reply;
    struct buf head;
    buf_init(&head, req->work.mem, 512);
    buf_add_str(&head, "Status: ");
    buf_add_int(&head, reply->status);
    put_line(&head, " ", phrase_of(reply->status));
    if (reply->type)
        put_line(&head, "Content-Type: ", reply->type);
    if (reply->status != 304) {
        buf_add_str(&head, "Content-Length: ");
        buf_add_int(&head, (int64_t)reply->len);
        buf_add_str(&head, "\r\n");
    }
    if (cache[req->work.cache])
        put_line(&head, "X-Cache: ", cache[req->work.cache]);
    put_timing(&head, req);
    buf_add(&head, reply->headers.data, reply->headers.len);
    buf_add_str(&head, "\r\n");
    FCGX_PutStr(head.data, (int)head.len, conn->fcgi.out);
    if (req->method != METHOD_HEAD && reply->len > 0)
        FCGX_PutStr(reply->body, (int)reply->len, conn->fcgi.out);
    bool closed_err = FCGX_FClose(conn->fcgi.err) == 0;
    return FCGX_FClose(conn->fcgi.out) == 0 && closed_err;
}

// The life of a request

static void conn_rest(struct conn *conn)
{
    conn->busy = false;
    if (!ev_is_active(&conn->readable))
        ev_io_start(loop_ev(), &conn->readable);
}

// Errors that a person must look at; the rest is in nginx's access log.
static void log_failure(const struct request *req)
{
    if (req->reply.status >= 500)
        log_event(LOG_WARN, "request-failed", LOG_STR("method", req->method_name),
                  LOG_STR("path", req->path), LOG_INT("status", req->reply.status),
                  LOG_STR("problem", req->reply.body));
}

static struct request *request_new(void)
{
    void *mem = mem_request_new();
    struct request *req = mem_zero(mem, struct request);
    req->work.mem = mem;
    req->begun = clock_mono_ns();
    req->work.start_by = req->begun + config->pg_pool_wait_ms * MS;
    req->work.deadline = req->work.start_by + config->pg_timeout_ms * MS;
    buf_init(&req->reply.headers, mem, 256);
    return req;
}

// One request on conn, up to its reply. True when the connection can take another.
static bool converse(struct conn *conn, struct request *req)
{
    conn->fcgi.ipcFd = conn->fd;
    conn->fcgi.keepConnection = 1;
    conn->fcgi.detached = 1;
    if (FCGX_Accept_r(&conn->fcgi) != 0) { // the end of the connection, or not FastCGI
        conn->fd = -1;                     // which libfcgi has closed
        return false;
    }
    bool good = read_request(conn, req);
    if (good) {
        co_set_log_id(req->id);
        // Who asks whether the process lives is always told.
        if (in_work > (unsigned)config->request_queue &&
            strcmp(req->path, "/health/live") != 0)
            dispatch_overloaded(req);
        else
            dispatch(req);
        log_failure(req);
        good = send_reply(conn, req);
        dispatch_count(req);
    }
    good = good && conn->fcgi.keepConnection;
    FCGX_Free(&conn->fcgi, 0);
    return good;
}

static void serve(void *arg)
{
    struct conn *conn = arg;
    struct request *req = request_new();
    if (converse(conn, req) && !settled)
        conn_rest(conn);
    else
        conn_close(conn);
    if (req->work.after) {
        req->work.deadline = clock_mono_ns() + AFTER_MS * MS;
        req->work.after(&req->work, req->work.after_arg);
    }
    mem_request_free(req->work.mem);
    in_work--;
    stop_if_drained();
}

// Whether what a new connection says is the beginning of a request: a peer that says
// something else would have libfcgi wait for the rest of it, and the loop with it.
static bool begins_request(int fd)
{
    unsigned char head[8]; // version, type, id, content length, padding, reserved
    return recv(fd, head, sizeof head, MSG_PEEK | MSG_DONTWAIT) == sizeof head &&
           head[0] == 1 && head[1] == 1 && (head[2] | head[3]) && head[4] == 0 &&
           head[5] == 8;
}

static void on_readable(struct ev_loop *l, ev_io *io, int events)
{
    (void)events;
    struct conn *conn = io->data;
    if (conn->busy) { // the peer gives up; its request is answered all the same
        ev_io_stop(l, io);
        return;
    }
    if (!conn->used && !begins_request(conn->fd)) {
        conn_close(conn);
        return;
    }
    conn->busy = conn->used = true;
    in_work++;
    co_start(serve, conn);
}

static void on_listen_again(struct ev_loop *l, ev_timer *timer, int events)
{
    (void)timer;
    (void)events;
    if (!draining)
        ev_io_start(l, &listener);
}

static void on_connection(struct ev_loop *l, ev_io *io, int events)
{
    (void)events;
    static bool said;
    int fd = accept4(io->fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0) { // another process was quicker, or the peer has gone
        if (errno == EMFILE || errno == ENFILE) {
            if (!said)
                log_event(LOG_ERROR, "no-descriptors", LOG_INT("errno", errno));
            said = true;
            ev_io_stop(l, io);
            ev_timer_set(&listen_again, PAUSE_S, 0.);
            ev_timer_start(l, &listen_again);
        }
        return;
    }
    said = false;
    struct timeval stall = {.tv_sec = STALL_MS / 1000,
                            .tv_usec = STALL_MS % 1000 * 1000L};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &stall, sizeof stall);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &stall, sizeof stall);
    struct conn *conn = calloc(1, sizeof *conn);
    if (!conn)
        abort();
    FCGX_InitRequest(&conn->fcgi, -1, 0);
    conn->fd = fd;
    conn->next = conns;
    if (conns)
        conns->prev = conn;
    conns = conn;
    ev_io_init(&conn->readable, on_readable, fd, EV_READ);
    conn->readable.data = conn;
    ev_io_start(l, &conn->readable);
}

void fcgi_listen(int fd, const struct config *c)
{
    config = c;
    FCGX_Init();
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    ev_io_init(&listener, on_connection, fd, EV_READ);
    ev_io_start(loop_ev(), &listener);
    ev_timer_init(&listen_again, on_listen_again, PAUSE_S, 0.);
}

static void on_drain_timeout(struct ev_loop *l, ev_timer *timer, int events)
{
    (void)l;
    (void)timer;
    (void)events;
    log_event(LOG_WARN, "drain-timeout", LOG_INT("requests", in_work));
    loop_stop();
}

// Closes what is at rest: no nginx that runs holds such a connection by now.
static void on_settled(struct ev_loop *l, ev_timer *timer, int events)
{
    (void)timer;
    (void)events;
    settled = true;
    for (struct conn *conn = conns, *next; conn; conn = next) {
        char byte;
        next = conn->next;
        if (conn->busy)
            continue;
        if (recv(conn->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0)
            on_readable(l, &conn->readable, EV_READ);
        else
            conn_close(conn);
    }
}

void fcgi_drain(void)
{
    if (draining)
        return;
    draining = true;
    ev_io_stop(loop_ev(), &listener);
    ev_timer_init(&settle_timer, on_settled, SETTLE_S, 0.);
    ev_timer_start(loop_ev(), &settle_timer);
    ev_timer_init(&drain_timer, on_drain_timeout, DRAIN_S, 0.);
    ev_timer_start(loop_ev(), &drain_timer);
    stop_if_drained();
}
