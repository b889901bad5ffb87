// The cart's handlers: from a request to the store's words, and from its answer to a
// reply.

#include "cart/cart_http.h"

#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "cart/cart.h"
#include "cart/cart_store.h"
#include "http/body.h"
#include "http/request.h"

enum add_field { ADD_PRODUCT_ID, ADD_NAME, ADD_PRICE, ADD_QUANTITY, ADD__MAX };

static const struct body_field add_fields[ADD__MAX] = {
    {"product_id", BODY_INTEGER, false, 1, CART_PRODUCT_ID_MAX, ERR_INVALID_PRODUCT,
     "a whole number from 1 to 2147483647"},
    {"name", BODY_STRING, false, 1, CART_NAME_MAX, ERR_INVALID_NAME,
     "1 to 200 characters, none of them a control character"},
    {"price", BODY_MONEY, false, CART_PRICE_MIN, CART_PRICE_MAX, ERR_INVALID_PRICE,
     "a number from 0.01 to 1000000.00 with at most two decimals and no exponent"},
    {"quantity", BODY_INTEGER, true, 1, CART_QUANTITY_MAX, ERR_INVALID_QUANTITY,
     "a whole number from 1 to 999"},
};

static const struct body_field update_fields[] = {
    {"quantity", BODY_INTEGER, false, 0, CART_QUANTITY_MAX, ERR_INVALID_QUANTITY,
     "a whole number from 0 to 999"},
};

static struct err read_user_id(const struct request *req, const char **user_id)
{
    *user_id = req->params[0].text;
    return cart_check_user_id(req->params[0].text, req->params[0].len);
}

static void reply_cart(struct request *req, const struct cart_answer *answer)
{
    reply_etag(req, answer->version);
    reply_header(req, "Cache-Control", "private, no-cache");
    if (answer->replayed)
        reply_header(req, "Idempotency-Replayed", "true");
    reply_set(req, answer->status, "application/json", answer->json, answer->len);
}

// RFC 9110, section 13.2.2, for a method that only reads: 412, 304, or go on.
static struct err check_conditions(struct request *req, const struct cart_answer *answer,
                                   bool *not_modified)
{
    int64_t version = answer->version;
    if (req->if_match && !cart_version_matches(version, req->if_match, ETAG_STRONG)) {
        req->problem_cart = answer->json;
        reply_etag(req, answer->version);
        return err_make(ERR_VERSION_MISMATCH, "If-Match",
                        "the cart is at another version");
    }
    *not_modified = req->if_none_match &&
                    cart_version_matches(version, req->if_none_match, ETAG_WEAK);
    return err_ok();
}

static struct err get_cart(struct request *req)
{
    const char *user_id;
    struct cart_answer answer;
    bool not_modified = false;
    struct err err = read_user_id(req, &user_id);
    if (!err_is(err))
        err = cart_store_read(&req->work, user_id, &answer);
    if (!err_is(err))
        err = check_conditions(req, &answer, &not_modified);
    if (err_is(err))
        return err;
    reply_cart(req, &answer);
    if (not_modified)
        reply_set(req, 304, NULL, NULL, 0);
    return err_ok();
}

// What an Idempotency-Key stands for: method, path and body.
static void set_fingerprint(const struct request *req, struct cart_write *write)
{
    struct buf b;
    buf_init(&b, req->work.mem, strlen(req->path) + req->body_len + 16);
    buf_printf(&b, "%s %s\n", req->method_name, req->path);
    buf_add(&b, req->body, req->body_len);
    write->fingerprint = b.data;
    write->fingerprint_len = b.len;
}

static struct err write_cart(struct request *req, const char *user_id,
                             const struct cart_request *asked)
{
    struct cart_write write = {.user_id = user_id,
                               .request = *asked,
                               .if_match = req->if_match,
                               .if_none_match = req->if_none_match,
                               .idempotency_key = req->idempotency_key};
    if (write.idempotency_key)
        set_fingerprint(req, &write);
    struct cart_answer answer;
    struct err err = cart_store_write(&req->work, &write, &answer);
    if (err.code == ERR_VERSION_MISMATCH) {
        req->problem_cart = answer.json;
        reply_etag(req, answer.version);
    }
    if (!err_is(err))
        reply_cart(req, &answer);
    return err;
}

static struct err post_add(struct request *req)
{
    const char *user_id;
    struct body_value values[ADD__MAX];
    struct err err = read_user_id(req, &user_id);
    if (!err_is(err))
        err = body_parse(req->work.mem, req->body, req->body_len, add_fields, ADD__MAX,
                         values);
    if (err_is(err))
        return err;
    struct cart_request asked = {
        .action = CART_ADD,
        .line = {.product_id = (int32_t)values[ADD_PRODUCT_ID].number,
                 .name = values[ADD_NAME].text,
                 .price = values[ADD_PRICE].number,
                 .quantity = values[ADD_QUANTITY].present
                                 ? (int)values[ADD_QUANTITY].number
                                 : 1}};
    return write_cart(req, user_id, &asked);
}

static struct err put_update(struct request *req)
{
    const char *user_id;
    struct body_value quantity;
    struct cart_request asked = {.action = CART_UPDATE};
    struct err err = read_user_id(req, &user_id);
    if (!err_is(err))
        err = cart_parse_product_id(req->params[1].text, req->params[1].len,
                                    &asked.line.product_id);
    if (!err_is(err))
        err = body_parse(req->work.mem, req->body, req->body_len, update_fields, 1,
                         &quantity);
    if (err_is(err))
        return err;
    asked.line.quantity = (int)quantity.number;
    return write_cart(req, user_id, &asked);
}

static struct err post_remove(struct request *req)
{
    const char *user_id;
    struct cart_request asked = {.action = CART_REMOVE};
    struct err err = read_user_id(req, &user_id);
    if (!err_is(err))
        err = cart_parse_product_id(req->params[1].text, req->params[1].len,
                                    &asked.line.product_id);
    return err_is(err) ? err : write_cart(req, user_id, &asked);
}

static struct err post_clear(struct request *req)
{
    const char *user_id;
    struct cart_request asked = {.action = CART_CLEAR};
    struct err err = read_user_id(req, &user_id);
    return err_is(err) ? err : write_cart(req, user_id, &asked);
}

const struct route cart_routes[] = {
    {METHOD_GET, BODY_IGNORED, "/cart/{user_id}", get_cart},
    {METHOD_POST, BODY_JSON, "/cart/{user_id}/add", post_add},
    {METHOD_POST, BODY_IGNORED, "/cart/{user_id}/remove/{product_id}", post_remove},
    {METHOD_PUT, BODY_JSON, "/cart/{user_id}/update/{product_id}", put_update},
    {METHOD_POST, BODY_IGNORED, "/cart/{user_id}/clear", post_clear},
    {0},
};
