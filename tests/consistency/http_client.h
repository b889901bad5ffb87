// A keep-alive HTTP/1.1 connection for a loop over epoll: one request at a time, answers
// with a Content-Length only, which is what nginx sends. It never repeats a request.
//
// The caller adds no events: a connection registers itself, edge-triggered, with itself
// as the event's data, and wants http_event() called with whatever epoll says of it.
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "history.h"

struct http_answer {
    int status;
    int64_t etag; // a strong ETag of digits; OP_UNKNOWN for none or another
    enum op_cache cache;
    char node[32]; // Server-Timing's redis;desc; "" for none
    const char *body;
    size_t body_len; // the body is good until the next request
};

enum http_event {
    HTTP_WAIT,   // nothing to tell yet
    HTTP_ANSWER, // `answer` is set
    HTTP_BROKEN, // the request gets no answer; the connection is closed
};

enum http_fate {
    HTTP_UNSENT, // not one byte of the request has left
    HTTP_SENT,   // it may have reached the server
};

struct http_conn {
    int fd; // -1: closed
    bool busy, connecting;
    enum http_fate fate; // of the latest request
    const char *request; // the caller's, until it is sent
    size_t request_len;
    char *buf;
    size_t len, cap;
    size_t head_len; // 0: the head of the answer has not come yet
    size_t total;    // head and body
    bool closes;     // the server said so
    struct http_answer answer;
};

// Nothing is opened yet. False when out of memory.
bool http_init(struct http_conn *conn);

// Sends a request, over a new connection if there is none. `request` must live until an
// answer or an end. HTTP_BROKEN when it failed at once, else HTTP_WAIT.
enum http_event http_send(struct http_conn *conn, int epoll, const struct sockaddr_in *to,
                          const char *request, size_t len);

// What epoll's `events` mean. HTTP_BROKEN only while a request is under way: a connection
// that ends at rest is closed in silence.
enum http_event http_event(struct http_conn *conn, uint32_t events);

// Gives up a request under way, if any, and closes.
void http_close(struct http_conn *conn);
