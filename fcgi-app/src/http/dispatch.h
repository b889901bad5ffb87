// From a request to its reply: route, checks that every route shares, handler, metrics.
#pragma once

#include "http/request.h"
#include "http/router.h"

// Takes the tables (the last has NULL routes), which must outlive all use, and registers
// the metrics of all routes. Before metrics_open().
void dispatch_setup(const struct route_table *tables);

// Answers one request: sets req->reply, whatever happens.
void dispatch(struct request *req);

// Answers 503 without looking further: too many requests are in work.
void dispatch_overloaded(struct request *req);

// Counts the request, once its reply has been sent.
void dispatch_count(const struct request *req);
