// The floor of report/bench: a constant over FastCGI, by the same libraries and in the
// same way as the service, but with nothing behind it. More than this cannot be had from
// libfcgi behind nginx.
//
// usage: spawn-fcgi -n -s SOCKET -- multiwatch -f N -- build/report/floor BYTES
//
// Every answer has the headers of a hit, and a body of so many bytes. It trusts its peer,
// which is nginx on the same machine: no time-outs, no limits.

#include <ev.h>
#include <fastcgi.h>
#include <fcgiapp.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define BYTES_MAX 100000

static const char head[] =
    "Status: 200 OK\r\n"
    "Content-Type: application/json\r\n"
    "Content-Length: %d\r\n"
    "X-Cache: HIT\r\n"
    "Server-Timing: app;dur=0.011, redis;desc=\"replica-1\";dur=0.101\r\n"
    "ETag: \"1\"\r\n"
    "Cache-Control: private, no-cache\r\n"
    "\r\n%*s";
static char answer[sizeof head + 16 + BYTES_MAX];
static int answer_len;

struct conn {
    ev_io readable;
    FCGX_Request fcgi;
};

static void conn_close(struct ev_loop *loop, struct conn *conn)
{
    ev_io_stop(loop, &conn->readable);
    free(conn);
}

static void on_readable(struct ev_loop *loop, ev_io *io, int events)
{
    (void)events;
    struct conn *conn = io->data;
    conn->fcgi.ipcFd = io->fd;
    conn->fcgi.keepConnection = 1;
    conn->fcgi.detached = 1;
    if (FCGX_Accept_r(&conn->fcgi) != 0) { // libfcgi has closed it
        conn_close(loop, conn);
        return;
    }
    FCGX_PutStr(answer, answer_len, conn->fcgi.out);
    FCGX_FClose(conn->fcgi.err);
    FCGX_FClose(conn->fcgi.out);
    bool kept = conn->fcgi.keepConnection;
    FCGX_Free(&conn->fcgi, 0);
    if (!kept) {
        close(io->fd);
        conn_close(loop, conn);
    }
}

static void on_connection(struct ev_loop *loop, ev_io *io, int events)
{
    (void)events;
    int fd = accept4(io->fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0) // the other process was quicker
        return;
    struct conn *conn = calloc(1, sizeof *conn);
    if (!conn)
        abort();
    FCGX_InitRequest(&conn->fcgi, -1, 0);
    ev_io_init(&conn->readable, on_readable, fd, EV_READ);
    conn->readable.data = conn;
    ev_io_start(loop, &conn->readable);
}

int main(int argc, char **argv)
{
    int bytes = argc == 2 ? atoi(argv[1]) : -1;
    if (bytes < 0 || bytes > BYTES_MAX) {
        fputs("usage: floor BYTES\n", stderr);
        return 2;
    }
    answer_len = snprintf(answer, sizeof answer, head, bytes, bytes, "");
    struct ev_loop *loop = ev_default_loop(EVFLAG_AUTO);
    ev_io listener;
    FCGX_Init();
    fcntl(FCGI_LISTENSOCK_FILENO, F_SETFL, O_NONBLOCK);
    ev_io_init(&listener, on_connection, FCGI_LISTENSOCK_FILENO, EV_READ);
    ev_io_start(loop, &listener);
    ev_run(loop, 0);
    return 0;
}
