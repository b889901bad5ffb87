// One connection to the server. Invariant: busy from http_send() until an answer or a
// break has been returned; buf[0, len) is what has come of the answer under way.

#include "http_client.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define FIRST_CAP 16384
#define HEAD_MAX 8192
#define BODY_MAX (1 << 20)

bool http_init(struct http_conn *conn)
{
    *conn = (struct http_conn){.fd = -1, .cap = FIRST_CAP, .buf = malloc(FIRST_CAP)};
    return conn->buf != NULL;
}

void http_close(struct http_conn *conn)
{
    if (conn->fd >= 0)
        close(conn->fd);
    conn->fd = -1;
    conn->busy = conn->connecting = false;
}

static enum http_event broken(struct http_conn *conn)
{
    bool busy = conn->busy;
    http_close(conn);
    return busy ? HTTP_BROKEN : HTTP_WAIT;
}

// Sending

static enum http_event send_request(struct http_conn *conn)
{
    conn->connecting = false;
    ssize_t n = send(conn->fd, conn->request, conn->request_len, MSG_NOSIGNAL);
    if (n > 0)
        conn->fate = HTTP_SENT;
    // The socket's buffer is empty and a request small, so a part of it is a failure too.
    return n == (ssize_t)conn->request_len ? HTTP_WAIT : broken(conn);
}

static bool start_connecting(struct http_conn *conn, int epoll,
                             const struct sockaddr_in *to)
{
    int one = 1;
    conn->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (conn->fd < 0)
        return false;
    setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(conn->fd, (const struct sockaddr *)to, sizeof *to) != 0) {
        if (errno != EINPROGRESS)
            return false;
        conn->connecting = true;
    }
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                .data.ptr = conn};
    return epoll_ctl(epoll, EPOLL_CTL_ADD, conn->fd, &event) == 0;
}

enum http_event http_send(struct http_conn *conn, int epoll, const struct sockaddr_in *to,
                          const char *request, size_t len)
{
    conn->busy = true;
    conn->fate = HTTP_UNSENT;
    conn->request = request;
    conn->request_len = len;
    conn->len = conn->head_len = conn->total = 0;
    if (conn->fd < 0 && !start_connecting(conn, epoll, to))
        return broken(conn);
    return conn->connecting ? HTTP_WAIT : send_request(conn);
}

// Receiving

static bool has_name(const char *line, const char *end, const char *name)
{
    size_t len = strlen(name);
    return (size_t)(end - line) > len && line[len] == ':' &&
           strncasecmp(line, name, len) == 0;
}

static const char *value_of(const char *line, const char *end)
{
    const char *p = memchr(line, ':', (size_t)(end - line));
    for (p++; p < end && *p == ' ';)
        p++;
    return p;
}

// Server-Timing: app;dur=0.031, redis;desc="replica-2";dur=0.191
static void read_node(struct http_answer *answer, const char *value, const char *end)
{
    static const char before[] = "redis;desc=\"";
    const char *p = memmem(value, (size_t)(end - value), before, sizeof before - 1);
    if (!p)
        return;
    p += sizeof before - 1;
    const char *quote = memchr(p, '"', (size_t)(end - p));
    if (!quote || (size_t)(quote - p) >= sizeof answer->node)
        return;
    memcpy(answer->node, p, (size_t)(quote - p));
    answer->node[quote - p] = '\0';
}

static int64_t read_etag(const char *value, const char *end)
{
    int64_t version = 0;
    if (end - value < 3 || *value != '"' || end[-1] != '"')
        return OP_UNKNOWN;
    value++;
    return history_parse_number(&value, end - 1, '"', &version) ? version : OP_UNKNOWN;
}

// One line of the head; `length` is set by Content-Length.
static bool read_field(struct http_conn *conn, const char *line, const char *end,
                       int64_t *length)
{
    struct http_answer *answer = &conn->answer;
    const char *value;
    switch (*line | 0x20) { // few of the lines need a closer look
    case 'c':
        if (has_name(line, end, "Content-Length")) {
            value = value_of(line, end);
            return history_parse_number(&value, end, '\r', length);
        }
        if (has_name(line, end, "Connection")) {
            value = value_of(line, end);
            conn->closes = end - value == 5 && strncasecmp(value, "close", 5) == 0;
        }
        break;
    case 'e':
        if (has_name(line, end, "ETag"))
            answer->etag = read_etag(value_of(line, end), end);
        break;
    case 's':
        if (has_name(line, end, "Server-Timing"))
            read_node(answer, value_of(line, end), end);
        break;
    case 'x':
        if (has_name(line, end, "X-Cache")) {
            value = value_of(line, end);
            answer->cache = op_cache_parse(value, (size_t)(end - value));
        }
        break;
    default:
        break;
    }
    return true;
}

// The head [buf, head_len). False when it is not one that we can take.
static bool read_head(struct http_conn *conn)
{
    static const char version[] = "HTTP/1.1 ";
    const char *line = conn->buf, *head_end = conn->buf + conn->head_len - 2, *end;
    int64_t length = -1;
    conn->answer = (struct http_answer){.etag = OP_UNKNOWN};
    conn->closes = false;
    if (conn->head_len < 16 || memcmp(line, version, sizeof version - 1) != 0)
        return false;
    for (int i = 9; i < 12; i++) {
        if (line[i] < '0' || line[i] > '9')
            return false;
        conn->answer.status = conn->answer.status * 10 + (line[i] - '0');
    }
    line = (const char *)memchr(line, '\n', conn->head_len) + 1;
    for (; line < head_end; line = end + 2) {
        end = memmem(line, (size_t)(head_end - line), "\r\n", 2);
        if (!end || !read_field(conn, line, end, &length))
            return false;
    }
    if (length < 0 || length > BODY_MAX)
        return false;
    conn->total = conn->head_len + (size_t)length;
    return true;
}

// Looks for the end of the head, and makes room for the body. False: not an answer.
static bool take_head(struct http_conn *conn)
{
    const char *end = memmem(conn->buf, conn->len, "\r\n\r\n", 4);
    if (!end)
        return conn->len < HEAD_MAX;
    conn->head_len = (size_t)(end - conn->buf) + 4;
    if (!read_head(conn))
        return false;
    if (conn->total + 1 > conn->cap) {
        char *more = realloc(conn->buf, conn->total + 1);
        if (!more)
            return false;
        conn->buf = more;
        conn->cap = conn->total + 1;
    }
    return true;
}

static enum http_event answered(struct http_conn *conn)
{
    conn->busy = false;
    conn->answer.body = conn->buf + conn->head_len;
    conn->answer.body_len = conn->total - conn->head_len;
    if (conn->closes)
        http_close(conn);
    return HTTP_ANSWER;
}

static enum http_event receive(struct http_conn *conn)
{
    for (;;) {
        ssize_t n = recv(conn->fd, conn->buf + conn->len, conn->cap - conn->len, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return HTTP_WAIT;
        if (n <= 0)
            return broken(conn);
        conn->len += (size_t)n;
        if (conn->head_len == 0 && !take_head(conn))
            return broken(conn);
        if (conn->head_len > 0 && conn->len == conn->total)
            return answered(conn);
        if (conn->head_len > 0 && conn->len > conn->total) // more than was asked for
            return broken(conn);
    }
}

enum http_event http_event(struct http_conn *conn, uint32_t events)
{
    const uint32_t over = EPOLLRDHUP | EPOLLHUP | EPOLLERR;
    if (conn->fd < 0)
        return HTTP_WAIT;
    if (!conn->busy)
        return events & (EPOLLIN | over) ? broken(conn) : HTTP_WAIT;
    if (conn->connecting) {
        if (events & (EPOLLHUP | EPOLLERR))
            return broken(conn);
        return events & EPOLLOUT ? send_request(conn) : HTTP_WAIT;
    }
    if (!(events & (EPOLLIN | over)))
        return HTTP_WAIT;
    enum http_event event = receive(conn);
    if (event == HTTP_ANSWER && events & over)
        http_close(conn);
    return event;
}
