// Top products as JSON.

#include "stats/stats.h"

#include <string.h>

#include "base/json.h"

void stats_put_json(struct buf *b, const struct stats_product *products, size_t n)
{
    buf_add_char(b, '[');
    for (size_t i = 0; i < n; i++) {
        buf_add_str(b, i ? ",{\"product_id\":" : "{\"product_id\":");
        buf_add_int(b, products[i].product_id);
        buf_add_str(b, ",\"name\":");
        json_put_string(b, products[i].name, strlen(products[i].name));
        buf_add_str(b, ",\"units\":");
        buf_add_int(b, products[i].units);
        buf_add_str(b, ",\"carts\":");
        buf_add_int(b, products[i].carts);
        buf_add_char(b, '}');
    }
    buf_add_char(b, ']');
}
