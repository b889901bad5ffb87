// Errors as problem documents (RFC 9457).
#pragma once

#include "base/err.h"
#include "http/request.h"

// Makes the reply a problem document about err: the status, title and code of its row in
// err.h, its detail, its faulty fields, and req->problem_cart if set. Headers already set
// stay; Retry-After is added to a 503, but for an unknown outcome, which must be looked
// at before it is tried again.
void problem_reply(struct request *req, struct err err);
