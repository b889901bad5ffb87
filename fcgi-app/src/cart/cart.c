// The rules of a cart.

#include "cart/cart.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/money.h"

struct err cart_check_user_id(const char *text, size_t len)
{
    bool good = len >= 1 && len <= CART_USER_ID_MAX;
    for (size_t i = 0; good && i < len; i++) {
        char c = text[i];
        good = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
               (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
    }
    if (good && text[0] == '.' && (len == 1 || (len == 2 && text[1] == '.')))
        good = false;
    if (!good)
        return err_make(ERR_INVALID_USER_ID, NULL,
                        "a user id is 1 to 64 of A-Z a-z 0-9 . _ - but not . or ..");
    return err_ok();
}

struct err cart_parse_product_id(const char *text, size_t len, int32_t *product_id)
{
    int64_t number;
    if (!parse_int(text, len, 1, CART_PRODUCT_ID_MAX, &number))
        return err_make(ERR_INVALID_PRODUCT_ID, NULL,
                        "a product id is a whole number from 1 to 2147483647");
    *product_id = (int32_t)number;
    return err_ok();
}

bool cart_version_matches(int64_t version, const char *header, enum etag_compare how)
{
    char tag[24];
    snprintf(tag, sizeof tag, "%lld", (long long)version);
    return parse_etag_list(header, tag, how) == ETAG_YES;
}

static struct cart_line *find_line(struct cart *cart, int32_t product_id)
{
    for (size_t i = 0; i < cart->n_lines; i++)
        if (cart->lines[i].product_id == product_id)
            return &cart->lines[i];
    return NULL;
}

static void remove_line(struct cart *cart, struct cart_line *line)
{
    size_t after = (size_t)(cart->lines + cart->n_lines - (line + 1));
    memmove(line, line + 1, after * sizeof *line);
    cart->n_lines--;
}

static struct err add(struct cart *cart, const struct cart_line *asked,
                      enum cart_change *change, size_t *at)
{
    struct cart_line *line = find_line(cart, asked->product_id);
    if (line && line->quantity + asked->quantity > CART_QUANTITY_MAX)
        return err_make(ERR_TOO_MANY_UNITS, "/quantity",
                        "a line holds at most 999 units");
    if (!line && cart->n_lines == CART_LINES_MAX)
        return err_make(ERR_TOO_MANY_LINES, NULL, "a cart holds at most 100 lines");
    *change = line ? CART_LINE_SET : CART_LINE_ADDED;
    if (!line) {
        line = &cart->lines[cart->n_lines++];
        *line = *asked;
    } else {
        int quantity = line->quantity + asked->quantity;
        *line = *asked;
        line->quantity = quantity;
    }
    *at = (size_t)(line - cart->lines);
    return err_ok();
}

static struct err update(struct cart *cart, const struct cart_line *asked,
                         enum cart_change *change, size_t *at)
{
    struct cart_line *line = find_line(cart, asked->product_id);
    if (!line)
        return err_make(ERR_LINE_NOT_FOUND, NULL, "the cart has no line of this product");
    if (asked->quantity == 0) {
        remove_line(cart, line);
        *change = CART_LINE_REMOVED;
    } else if (asked->quantity == line->quantity) {
        *change = CART_UNCHANGED;
    } else {
        line->quantity = asked->quantity;
        *at = (size_t)(line - cart->lines);
        *change = CART_LINE_SET;
    }
    return err_ok();
}

struct err cart_apply(struct cart *cart, const struct cart_request *request,
                      const char *now, enum cart_change *change, size_t *line)
{
    struct err err = err_ok();
    struct cart_line none = request->line;
    none.quantity = 0;
    switch (request->action) {
    case CART_ADD:
        err = add(cart, &request->line, change, line);
        break;
    case CART_UPDATE:
        err = update(cart, &request->line, change, line);
        break;
    case CART_REMOVE:
        err = update(cart, &none, change, line);
        break;
    case CART_CLEAR:
        *change = cart->n_lines ? CART_EMPTIED : CART_UNCHANGED;
        cart->n_lines = 0;
        break;
    }
    if (!err_is(err) && *change != CART_UNCHANGED) {
        cart->version++;
        cart->updated_at = now;
    }
    return err;
}

void cart_put_json(struct buf *b, const struct cart *cart)
{
    int64_t total = 0, units = 0;
    buf_add_str(b, "{\"user_id\":");
    json_put_string(b, cart->user_id, strlen(cart->user_id));
    buf_add_str(b, ",\"version\":");
    buf_add_int(b, cart->version);
    buf_add_str(b, ",\"items\":[");
    for (size_t i = 0; i < cart->n_lines; i++) {
        const struct cart_line *line = &cart->lines[i];
        int64_t subtotal = line->price * line->quantity;
        buf_add_str(b, i ? ",{\"product_id\":" : "{\"product_id\":");
        buf_add_int(b, line->product_id);
        buf_add_str(b, ",\"name\":");
        json_put_string(b, line->name, strlen(line->name));
        buf_add_str(b, ",\"price\":");
        money_put(b, line->price);
        buf_add_str(b, ",\"quantity\":");
        buf_add_int(b, line->quantity);
        buf_add_str(b, ",\"subtotal\":");
        money_put(b, subtotal);
        buf_add_char(b, '}');
        total += subtotal;
        units += line->quantity;
    }
    buf_add_str(b, "],\"item_count\":");
    buf_add_int(b, units);
    buf_add_str(b, ",\"total\":");
    money_put(b, total);
    buf_add_str(b, ",\"updated_at\":");
    if (cart->updated_at)
        json_put_string(b, cart->updated_at, strlen(cart->updated_at));
    else
        buf_add_str(b, "null");
    buf_add_char(b, '}');
}
