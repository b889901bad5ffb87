// From a request to its reply.

#include "http/dispatch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/metrics.h"
#include "base/parse.h"
#include "http/problem.h"

#define ROUTES_MAX 64
#define KEY_MAX 255

// Statuses that the program answers with; the last stands for any other.
static const int statuses[] = {200, 201, 304, 400, 404, 405,
                               412, 413, 415, 422, 503, 500};
#define N_STATUSES (sizeof statuses / sizeof *statuses)

struct route_metrics {
    const struct route *route; // NULL: requests that matched none
    struct metric *by_status[N_STATUSES];
    struct metric *seconds;
};

static const struct route_table *tables;
static struct route_metrics metrics[ROUTES_MAX];
static size_t n_metrics;

static const char *method_text(const struct route *route)
{
    if (!route)
        return "";
    return route->method == METHOD_GET    ? "GET"
           : route->method == METHOD_POST ? "POST"
                                          : "PUT";
}

static void register_metrics(const struct route *route)
{
    if (n_metrics == ROUTES_MAX)
        abort();
    struct route_metrics *m = &metrics[n_metrics++];
    const char *pattern = route ? route->pattern : "none";
    char labels[128];
    m->route = route;
    for (size_t i = 0; i < N_STATUSES; i++) {
        snprintf(labels, sizeof labels, "route=\"%s\",method=\"%s\",status=\"%d\"",
                 pattern, method_text(route), statuses[i]);
        m->by_status[i] = metrics_counter(
            "carrito_requests_total", "Requests answered, by route and status.", labels);
    }
    snprintf(labels, sizeof labels, "route=\"%s\",method=\"%s\"", pattern,
             method_text(route));
    m->seconds = metrics_histogram("carrito_request_duration_seconds",
                                   "From a request's arrival here to its reply.", labels);
}

void dispatch_setup(const struct route_table *t)
{
    tables = t;
    register_metrics(NULL);
    for (; t->routes; t++)
        for (const struct route *r = t->routes; r->pattern; r++)
            register_metrics(r);
}

// Header fields whose form is checked wherever they appear.
static struct err check_headers(const struct request *req)
{
    const char *key = req->route->method == METHOD_GET ? NULL : req->idempotency_key;
    if (key) {
        size_t len = strlen(key);
        bool good = len >= 1 && len <= KEY_MAX;
        for (size_t i = 0; good && i < len; i++)
            good = key[i] >= '!' && key[i] <= '~';
        if (!good)
            return err_make(ERR_INVALID_IDEMPOTENCY_KEY, "Idempotency-Key",
                            "Idempotency-Key is 1 to 255 visible ASCII characters");
    }
    const char *form = "a list of entity-tags such as \"7\", or *";
    if (req->if_match &&
        parse_etag_list(req->if_match, "", ETAG_STRONG) == ETAG_MALFORMED)
        return err_make(ERR_INVALID_IF_MATCH, "If-Match", form);
    if (req->if_none_match &&
        parse_etag_list(req->if_none_match, "", ETAG_WEAK) == ETAG_MALFORMED)
        return err_make(ERR_INVALID_IF_NONE_MATCH, "If-None-Match", form);
    return err_ok();
}

static struct err answer(struct request *req)
{
    const struct route *route;
    const char *allow;
    struct err err = router_match(tables, req, &route, &allow);
    if (err.code == ERR_METHOD_NOT_ALLOWED)
        reply_header(req, "Allow", allow);
    if (err_is(err))
        return err;
    req->route = route;
    if (req->body_too_large)
        return err_make(ERR_BODY_TOO_LARGE, NULL, "a body is at most 16384 bytes");
    err = check_headers(req);
    if (err_is(err))
        return err;
    if (route->method != METHOD_GET && route->body == BODY_JSON &&
        !parse_media_type_json(req->content_type))
        return err_make(ERR_UNSUPPORTED_MEDIA_TYPE, "Content-Type",
                        "Content-Type must be application/json in UTF-8");
    return route->handle(req);
}

void dispatch(struct request *req)
{
    struct err err = answer(req);
    if (err_is(err))
        problem_reply(req, err);
}

void dispatch_overloaded(struct request *req)
{
    problem_reply(req, err_make(ERR_OVERLOADED, NULL, "too many requests are in work"));
}

void dispatch_count(const struct request *req)
{
    struct route_metrics *m = metrics;
    while (m < metrics + n_metrics - 1 && m->route != req->route)
        m++;
    size_t status = 0;
    while (status < N_STATUSES - 1 && statuses[status] != req->reply.status)
        status++;
    metrics_add(m->by_status[status], 1);
    metrics_observe(m->seconds, clock_mono_ns() - req->begun);
}
