// A fake Redis node: a process of its own on a port of 127.0.0.1, which does what it is
// asked by the keys of commands and by the memory it shares with the test.
#pragma once

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define RESP_ARGS_MAX 80
#define RESP_CONNS_MAX 8
#define RESP_IN_MAX ((size_t)2 * 1024 * 1024)

// What the test and the node share.
struct resp_shared {
    // set by the test
    atomic_bool hang_up;    // closes every connection at once
    atomic_bool silent;     // answers nothing
    atomic_bool no_scripts; // EVALSHA: NOSCRIPT
    char password[32];      // "" for none
    char probe_error[64];   // what EXISTS answers, "" for a number
    char state[256];        // what a sentinel answers, as it is sent
    char address[256];
    // set by the node
    atomic_int connections, commands, reads, auths, scripts, probes, touches, mgets;
    char begun_with[128]; // the first commands of the last connection
};

struct resp_conn {
    int fd;     // -1: free
    int number; // of all connections so far, from 1
    bool authorised;
    char *in;
    size_t len;
};

struct resp_node {
    pid_t pid;
    char port[8];
    struct resp_shared *shared;
};

// In the node's process

static inline void resp_write(struct resp_conn *conn, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(conn->fd, data, len);
        if (n <= 0)
            return;
        data += n;
        len -= (size_t)n;
    }
}

static inline void resp_text(struct resp_conn *conn, const char *text)
{
    resp_write(conn, text, strlen(text));
}

static inline void resp_bulk(struct resp_conn *conn, const char *data, size_t len)
{
    char head[32];
    resp_write(conn, head, (size_t)snprintf(head, sizeof head, "$%zu\r\n", len));
    resp_write(conn, data, len);
    resp_text(conn, "\r\n");
}

static inline void resp_error(struct resp_conn *conn, const char *text)
{
    resp_text(conn, "-");
    resp_text(conn, text);
    resp_text(conn, "\r\n");
}

static inline void resp_close(struct resp_conn *conn)
{
    close(conn->fd);
    conn->fd = -1;
    conn->len = 0;
}

// GET: the key says what to answer, after the colon with what.
static inline void resp_get(struct resp_conn *conn, const char *key, size_t len)
{
    const char *colon = memchr(key, ':', len);
    const char *rest = colon ? colon + 1 : "";
    size_t rest_len = colon ? len - (size_t)(rest - key) : 0;
    if (strncmp(key, "echo", 4) == 0) {
        resp_bulk(conn, rest, rest_len);
    } else if (strncmp(key, "late", 4) == 0) {
        struct timespec pause = {0, 1000000L * atoi(rest)};
        nanosleep(&pause, NULL);
        resp_bulk(conn, "late", 4);
    } else if (strncmp(key, "error", 5) == 0) {
        resp_error(conn, rest);
    } else if (strncmp(key, "integer", 7) == 0) {
        resp_text(conn, ":-42\r\n");
    } else if (strncmp(key, "status", 6) == 0) {
        resp_text(conn, "+FINE\r\n");
    } else if (strncmp(key, "array", 5) == 0) {
        resp_text(conn, "*4\r\n$1\r\na\r\n:7\r\n-ERR inside\r\n*2\r\n$-1\r\n$0\r\n\r\n");
    } else if (strncmp(key, "half", 4) == 0) {
        resp_text(conn, "$100\r\nonly this");
        resp_close(conn);
    } else if (strncmp(key, "close", 5) == 0) {
        resp_close(conn);
    } else if (strncmp(key, "nonsense", 8) == 0) {
        resp_text(conn, "HTTP/1.1 400 Bad Request\r\n\r\n");
    } else {
        resp_text(conn, "$-1\r\n");
    }
}

// MGET: a key "short" leaves the last item out.
static inline void resp_mget(struct resp_conn *conn, char *const keys[],
                             const size_t lens[], size_t n)
{
    char head[32];
    for (size_t i = 0; i < n; i++)
        if (strcmp(keys[i], "short") == 0)
            n--;
    resp_write(conn, head, (size_t)snprintf(head, sizeof head, "*%zu\r\n", n));
    for (size_t i = 0; i < n && conn->fd >= 0; i++)
        resp_get(conn, keys[i], lens[i]);
}

static inline void resp_auth(struct resp_shared *s, struct resp_conn *conn,
                             const char *password)
{
    s->auths++;
    conn->authorised = strcmp(password, s->password) == 0;
    if (conn->authorised)
        resp_text(conn, "+OK\r\n");
    else
        resp_error(conn, "WRONGPASS invalid username-password pair");
}

// A script's name: not SHA-1, but one for each text.
static inline void resp_script_load(struct resp_shared *s, struct resp_conn *conn,
                                    const char *text)
{
    char name[41];
    unsigned long long hash = 14695981039346656037ULL;
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * 1099511628211ULL;
    snprintf(name, sizeof name, "%016llx%016llx%08x", hash, hash * 7,
             (unsigned)(hash & 0xFFFFFFFF));
    s->scripts++;
    resp_bulk(conn, name, 40);
}

// EVAL and EVALSHA answer with their arguments, each in brackets.
static inline void resp_eval(struct resp_conn *conn, char *const args[], size_t n)
{
    char text[1024] = "";
    for (size_t i = 0; i < n; i++) {
        strcat(text, "<");
        strncat(text, args[i], 200);
        strcat(text, ">");
    }
    resp_bulk(conn, text, strlen(text));
}

static inline void resp_command(struct resp_shared *s, struct resp_conn *conn,
                                char *const args[], const size_t lens[], size_t n)
{
    size_t len = strlen(s->begun_with);
    if (conn->number == s->connections)
        snprintf(s->begun_with + len, sizeof s->begun_with - len, "%s ", args[0]);
    s->commands++;
    if (s->silent)
        return;
    if (strcmp(args[0], "AUTH") == 0) {
        resp_auth(s, conn, args[1]);
    } else if (*s->password && !conn->authorised) {
        resp_error(conn, "NOAUTH Authentication required.");
    } else if (strcmp(args[0], "EXISTS") == 0) {
        s->probes++;
        if (*s->probe_error)
            resp_error(conn, s->probe_error);
        else
            resp_text(conn, ":0\r\n");
    } else if (strcmp(args[0], "SENTINEL") == 0) {
        resp_text(conn, strcmp(args[1], "MASTER") == 0 ? s->state : s->address);
    } else if (strcmp(args[0], "SCRIPT") == 0) {
        resp_script_load(s, conn, args[2]);
    } else if (strcmp(args[0], "GET") == 0) {
        resp_get(conn, args[1], lens[1]);
    } else if (strcmp(args[0], "MGET") == 0) {
        s->mgets++;
        resp_mget(conn, args + 1, lens + 1, n - 1);
    } else if (strcmp(args[0], "EVALSHA") == 0 && s->no_scripts) {
        resp_error(conn, "NOSCRIPT No matching script. Please use EVAL.");
    } else if (strncmp(args[0], "EVAL", 4) == 0) {
        resp_eval(conn, args, n);
    } else {
        s->touches += strcmp(args[0], "TOUCH") == 0;
        resp_text(conn, "+OK\r\n");
    }
}

// Takes one command off what was read; false when it is not all there yet.
static inline bool resp_next(struct resp_shared *s, struct resp_conn *conn)
{
    char *args[RESP_ARGS_MAX], *p = conn->in, *end = conn->in + conn->len;
    size_t lens[RESP_ARGS_MAX], n = 0;
    *end = '\0';
    if (*p != '*')
        return false;
    for (long left = strtol(p + 1, &p, 10); left > 0; left--) {
        if (end - p < 2 || p[2] != '$' || n == RESP_ARGS_MAX)
            return false;
        lens[n] = strtoul(p + 3, &p, 10);
        if (end - p < 2 || (size_t)(end - p) < lens[n] + 4)
            return false;
        args[n++] = p + 2;
        p += 2 + lens[n - 1];
    }
    p += 2;
    for (size_t i = 0; i < n; i++)
        args[i][lens[i]] = '\0';
    resp_command(s, conn, args, lens, n);
    if (conn->fd < 0)
        return false;
    conn->len = (size_t)(end - p);
    memmove(conn->in, p, conn->len);
    return conn->len > 0;
}

static inline void resp_read(struct resp_shared *s, struct resp_conn *conn)
{
    ssize_t n = read(conn->fd, conn->in + conn->len, RESP_IN_MAX - 1 - conn->len);
    if (n <= 0) {
        resp_close(conn);
        return;
    }
    s->reads++;
    conn->len += (size_t)n;
    while (resp_next(s, conn)) {
    }
}

static inline void resp_accept(struct resp_shared *s, struct resp_conn *conns, int fd)
{
    int on = 1; // answers go out in several writes
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    for (size_t i = 0; i < RESP_CONNS_MAX; i++)
        if (conns[i].fd < 0) {
            char *in = conns[i].in ? conns[i].in : malloc(RESP_IN_MAX);
            s->begun_with[0] = '\0';
            conns[i] = (struct resp_conn){.fd = fd, .in = in, .number = ++s->connections};
            return;
        }
    close(fd);
}

static inline void resp_serve(struct resp_shared *s, int listener)
{
    struct resp_conn conns[RESP_CONNS_MAX] = {0};
    for (size_t i = 0; i < RESP_CONNS_MAX; i++)
        conns[i].fd = -1;
    for (;;) {
        struct pollfd fds[RESP_CONNS_MAX + 1];
        for (size_t i = 0; i < RESP_CONNS_MAX; i++)
            fds[i] = (struct pollfd){.fd = conns[i].fd, .events = POLLIN};
        fds[RESP_CONNS_MAX] = (struct pollfd){.fd = listener, .events = POLLIN};
        poll(fds, RESP_CONNS_MAX + 1, 5);
        for (size_t i = 0; i < RESP_CONNS_MAX; i++) {
            if (conns[i].fd >= 0 && s->hang_up)
                resp_close(&conns[i]);
            else if (fds[i].revents)
                resp_read(s, &conns[i]);
        }
        if (fds[RESP_CONNS_MAX].revents)
            resp_accept(s, conns, accept(listener, NULL, NULL));
    }
}

// In the test's process

// A listening socket on a free port, whose number goes to port.
static inline int resp_listen(char port[8])
{
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof addr;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof addr) != 0 ||
        listen(fd, 16) != 0 || getsockname(fd, (struct sockaddr *)&addr, &len) != 0)
        abort();
    snprintf(port, 8, "%d", ntohs(addr.sin_port));
    return fd;
}

static inline void resp_start(struct resp_node *node, const char *password)
{
    node->shared = mmap(NULL, sizeof *node->shared, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (node->shared == MAP_FAILED)
        abort();
    strcpy(node->shared->password, password);
    int listener = resp_listen(node->port);
    node->pid = fork();
    if (node->pid < 0)
        abort();
    if (node->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        signal(SIGPIPE, SIG_IGN);
        resp_serve(node->shared, listener);
    }
    close(listener);
}

static inline void resp_stop(struct resp_node *node)
{
    kill(node->pid, SIGKILL);
    waitpid(node->pid, NULL, 0);
}
