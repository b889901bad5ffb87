#include "../base/unit.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "cart/cart.h"

#define T1 "2024-05-01T10:00:00.000001Z"
#define T2 "2024-05-01T10:00:00.000002Z"

// Ids

static void user_ids_have_a_length_and_an_alphabet(void **state)
{
    (void)state;
    static const char sixty_four[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._";
    static const char *const good[] = {"a",   "Z",       "0",       "_",   "-",
                                       "...", ".a",      "a.",      "..a", "a..b",
                                       "-.",  "user123", sixty_four};
    static const char *const bad[] = {"",    ".",   "..",   " ",        "a b",
                                      "a/b", "a\n", "a%41", "\xC3\xA9", "a\xFF",
                                      "a@b", "a+b", "a:b",  "a\x7F"};
    for (size_t i = 0; i < LENGTH(good); i++)
        assert_int_equal(cart_check_user_id(good[i], strlen(good[i])).code, ERR_NONE);
    for (size_t i = 0; i < LENGTH(bad); i++)
        assert_int_equal(cart_check_user_id(bad[i], strlen(bad[i])).code,
                         ERR_INVALID_USER_ID);
    char sixty_five[66];
    memset(sixty_five, 'x', 65);
    assert_int_equal(cart_check_user_id(sixty_five, 64).code, ERR_NONE);
    assert_int_equal(cart_check_user_id(sixty_five, 65).code, ERR_INVALID_USER_ID);
    assert_int_equal(cart_check_user_id("a\0b", 3).code, ERR_INVALID_USER_ID);
    assert_int_equal(cart_check_user_id("a\0", 2).code, ERR_INVALID_USER_ID);
    assert_int_equal(cart_check_user_id("", 1).code, ERR_INVALID_USER_ID);
}

static void user_ids_are_made_of_just_these_bytes(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        char id[] = {'x', (char)c, 'y'};
        bool good =
            c != 0 && strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                             "0123456789._-",
                             c);
        assert_int_equal(cart_check_user_id(id, 3).code == ERR_NONE, good);
    }
}

static void product_ids_are_plain_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int32_t id;
    } good[] = {
        {"1", 1}, {"42", 42}, {"2147483646", 2147483646}, {"2147483647", INT32_MAX}};
    static const char *const bad[] = {"",
                                      "0",
                                      "-1",
                                      "+1",
                                      "01",
                                      "00",
                                      "1.0",
                                      "1e3",
                                      "0x1",
                                      " 1",
                                      "1 ",
                                      "abc",
                                      "1a",
                                      "-0",
                                      "1\n",
                                      "2147483648",
                                      "4294967297",
                                      "99999999999999999999",
                                      "18446744073709551617",
                                      "\xEF\xBC\x91"};
    for (size_t i = 0; i < LENGTH(good); i++) {
        int32_t id = 0;
        assert_int_equal(
            cart_parse_product_id(good[i].text, strlen(good[i].text), &id).code,
            ERR_NONE);
        assert_int_equal(id, good[i].id);
    }
    for (size_t i = 0; i < LENGTH(bad); i++) {
        int32_t id = 4711;
        assert_int_equal(cart_parse_product_id(bad[i], strlen(bad[i]), &id).code,
                         ERR_INVALID_PRODUCT_ID);
        assert_int_equal(id, 4711);
    }
    int32_t id;
    assert_int_equal(cart_parse_product_id("1\0", 2, &id).code, ERR_INVALID_PRODUCT_ID);
}

// Actions. What is done to a cart, and what comes of it, on one line each.

#define NO_LINE SIZE_MAX

struct outcome {
    enum err_code code;
    enum cart_change change;
    size_t line;
};

static struct outcome apply(struct cart *cart, enum cart_action action, int32_t product,
                            int quantity, const char *name, int64_t price)
{
    static const enum cart_change untouched = (enum cart_change)99;
    struct cart_request request = {action, {product, name, price, quantity}};
    struct outcome o = {.change = untouched, .line = NO_LINE};
    struct cart before = *cart;
    struct err err = cart_apply(cart, &request, T2, &o.change, &o.line);
    o.code = err.code;
    if (err_is(err)) {
        assert_memory_equal(cart, &before, sizeof before);
        assert_int_equal(o.change, untouched);
        assert_int_equal(o.line, NO_LINE);
        assert_non_null(err.detail);
    } else if (o.change == CART_UNCHANGED) {
        assert_memory_equal(cart, &before, sizeof before);
    } else {
        assert_int_equal(cart->version, before.version + 1);
        assert_string_equal(cart->updated_at, T2);
    }
    assert_string_equal(cart->user_id, before.user_id);
    return o;
}

static struct outcome add(struct cart *cart, int32_t product, int quantity)
{
    return apply(cart, CART_ADD, product, quantity, "new", 150);
}

static void check(struct outcome o, enum cart_change change, size_t line)
{
    assert_int_equal(o.code, ERR_NONE);
    assert_int_equal(o.change, change);
    if (line != NO_LINE)
        assert_int_equal(o.line, line);
}

static void check_lines(const struct cart *cart, const struct cart_line *lines, size_t n)
{
    assert_int_equal(cart->n_lines, n);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(cart->lines[i].product_id, lines[i].product_id);
        assert_string_equal(cart->lines[i].name, lines[i].name);
        assert_int_equal(cart->lines[i].price, lines[i].price);
        assert_int_equal(cart->lines[i].quantity, lines[i].quantity);
    }
}

#define CHECK_LINES(cart, ...)                                 \
    check_lines(cart, (const struct cart_line[]){__VA_ARGS__}, \
                LENGTH(((const struct cart_line[]){__VA_ARGS__})))

// Versions 7, products 10, 20, 30 with 1, 2, 3 units.
static struct cart three_lines(void)
{
    return (struct cart){
        .user_id = "u",
        .version = 7,
        .updated_at = T1,
        .n_lines = 3,
        .lines = {{10, "a", 100, 1}, {20, "b", 200, 2}, {30, "c", 300, 3}}};
}

static void add_makes_a_line_at_the_end(void **state)
{
    (void)state;
    struct cart cart = {.user_id = "u"};
    check(apply(&cart, CART_ADD, 5, 2, "Laptop", 99999), CART_LINE_ADDED, 0);
    assert_int_equal(cart.version, 1);
    check(apply(&cart, CART_ADD, 3, 1, "Mouse", 1), CART_LINE_ADDED, 1);
    check(apply(&cart, CART_ADD, 4, 999, "Pen", 100000000), CART_LINE_ADDED, 2);
    CHECK_LINES(&cart, {5, "Laptop", 99999, 2}, {3, "Mouse", 1, 1},
                {4, "Pen", 100000000, 999});
    assert_int_equal(cart.version, 3);
}

static void add_grows_a_line_and_renews_name_and_price(void **state)
{
    (void)state;
    struct cart cart = three_lines();
    check(apply(&cart, CART_ADD, 20, 5, "B", 250), CART_LINE_SET, 1);
    CHECK_LINES(&cart, {10, "a", 100, 1}, {20, "B", 250, 7}, {30, "c", 300, 3});
    assert_int_equal(cart.version, 8);
}

static void a_line_holds_999_units(void **state)
{
    (void)state;
    static const struct {
        int before, more;
        bool good;
    } rows[] = {{1, 998, true},  {998, 1, true},    {500, 499, true}, {1, 999, false},
                {999, 1, false}, {500, 500, false}, {999, 999, false}};
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct cart cart = three_lines();
        cart.lines[2].quantity = rows[i].before;
        struct outcome o = add(&cart, 30, rows[i].more);
        assert_int_equal(o.code, rows[i].good ? ERR_NONE : ERR_TOO_MANY_UNITS);
        assert_int_equal(cart.lines[2].quantity, rows[i].good ? 999 : rows[i].before);
    }
}

static void too_many_units_are_the_quantitys_fault(void **state)
{
    (void)state;
    struct cart cart = three_lines();
    struct cart_request request = {CART_ADD, {30, "c", 300, 997}};
    enum cart_change change;
    size_t line;
    struct err err = cart_apply(&cart, &request, T2, &change, &line);
    assert_int_equal(err.code, ERR_TOO_MANY_UNITS);
    assert_string_equal(err.field, "/quantity");
}

static void a_cart_holds_100_lines(void **state)
{
    (void)state;
    struct cart cart = {.user_id = "u"};
    for (int32_t i = 1; i <= 100; i++)
        check(add(&cart, i, 1), CART_LINE_ADDED, (size_t)i - 1);
    assert_int_equal(add(&cart, 101, 1).code, ERR_TOO_MANY_LINES);
    assert_int_equal(cart.n_lines, 100);
    check(add(&cart, 100, 1), CART_LINE_SET, 99);
    assert_int_equal(add(&cart, 1, 999).code, ERR_TOO_MANY_UNITS);
    check(apply(&cart, CART_REMOVE, 50, 0, NULL, 0), CART_LINE_REMOVED, NO_LINE);
    check(add(&cart, 101, 1), CART_LINE_ADDED, 99);
    assert_int_equal(add(&cart, 50, 1).code, ERR_TOO_MANY_LINES);
}

static void update_sets_the_quantity_alone(void **state)
{
    (void)state;
    struct cart cart = three_lines();
    check(apply(&cart, CART_UPDATE, 30, 999, "other", 1), CART_LINE_SET, 2);
    check(apply(&cart, CART_UPDATE, 10, 2, NULL, 0), CART_LINE_SET, 0);
    CHECK_LINES(&cart, {10, "a", 100, 2}, {20, "b", 200, 2}, {30, "c", 300, 999});
    assert_int_equal(cart.version, 9);
}

static void update_to_nothing_removes_the_line(void **state)
{
    (void)state;
    struct cart cart = three_lines();
    check(apply(&cart, CART_UPDATE, 10, 0, NULL, 0), CART_LINE_REMOVED, NO_LINE);
    CHECK_LINES(&cart, {20, "b", 200, 2}, {30, "c", 300, 3});
    check(apply(&cart, CART_UPDATE, 30, 0, NULL, 0), CART_LINE_REMOVED, NO_LINE);
    CHECK_LINES(&cart, {20, "b", 200, 2});
    check(apply(&cart, CART_UPDATE, 20, 0, NULL, 0), CART_LINE_REMOVED, NO_LINE);
    assert_int_equal(cart.n_lines, 0);
    assert_int_equal(cart.version, 10);
}

static void the_same_quantity_changes_nothing(void **state)
{
    (void)state;
    struct cart cart = three_lines();
    check(apply(&cart, CART_UPDATE, 20, 2, "other", 1), CART_UNCHANGED, NO_LINE);
    assert_int_equal(cart.version, 7);
    assert_string_equal(cart.updated_at, T1);
}

static void remove_takes_the_line_out(void **state)
{
    (void)state;
    struct cart cart = three_lines();
    // Whatever else the request holds is not looked at.
    check(apply(&cart, CART_REMOVE, 20, 2, "x", 1), CART_LINE_REMOVED, NO_LINE);
    CHECK_LINES(&cart, {10, "a", 100, 1}, {30, "c", 300, 3});
    check(apply(&cart, CART_REMOVE, 30, 77, NULL, 0), CART_LINE_REMOVED, NO_LINE);
    CHECK_LINES(&cart, {10, "a", 100, 1});
}

static void a_line_that_is_not_there_is_not_found(void **state)
{
    (void)state;
    struct cart cart = three_lines(), empty = {.user_id = "u"};
    static const int quantities[] = {0, 1, 999};
    for (size_t i = 0; i < LENGTH(quantities); i++) {
        assert_int_equal(apply(&cart, CART_UPDATE, 11, quantities[i], NULL, 0).code,
                         ERR_LINE_NOT_FOUND);
        assert_int_equal(apply(&empty, CART_UPDATE, 10, quantities[i], NULL, 0).code,
                         ERR_LINE_NOT_FOUND);
        assert_int_equal(apply(&cart, CART_REMOVE, 31, quantities[i], NULL, 0).code,
                         ERR_LINE_NOT_FOUND);
        assert_int_equal(apply(&empty, CART_REMOVE, 10, quantities[i], NULL, 0).code,
                         ERR_LINE_NOT_FOUND);
    }
    apply(&cart, CART_REMOVE, 10, 0, NULL, 0);
    assert_int_equal(apply(&cart, CART_REMOVE, 10, 0, NULL, 0).code, ERR_LINE_NOT_FOUND);
}

static void clear_empties_the_cart_once(void **state)
{
    (void)state;
    struct cart cart = three_lines();
    check(apply(&cart, CART_CLEAR, 0, 0, NULL, 0), CART_EMPTIED, NO_LINE);
    assert_int_equal(cart.n_lines, 0);
    check(apply(&cart, CART_CLEAR, 0, 0, NULL, 0), CART_UNCHANGED, NO_LINE);
    assert_int_equal(cart.version, 8);
    struct cart unknown = {.user_id = "u"};
    check(apply(&unknown, CART_CLEAR, 0, 0, NULL, 0), CART_UNCHANGED, NO_LINE);
    assert_int_equal(unknown.version, 0);
    assert_null(unknown.updated_at);
}

static void a_line_added_again_is_the_last(void **state)
{
    (void)state;
    struct cart cart = three_lines();
    apply(&cart, CART_REMOVE, 10, 0, NULL, 0);
    check(add(&cart, 10, 4), CART_LINE_ADDED, 2);
    check(add(&cart, 20, 1), CART_LINE_SET, 0); // growing does not move it
    CHECK_LINES(&cart, {20, "new", 150, 3}, {30, "c", 300, 3}, {10, "new", 150, 4});
}

// A small model that keeps a line by its product and when it was added, against the
// rules, over random actions near all limits.

#define PRODUCTS 105

static struct {
    bool there;
    int quantity;
    int64_t price, added;
    const char *name;
} model[PRODUCTS + 1];

static uint32_t random_state;

static int below(int n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    random_state ^= random_state << 5;
    return (int)(random_state % (uint32_t)n);
}

static size_t model_lines(void)
{
    size_t n = 0;
    for (int p = 1; p <= PRODUCTS; p++)
        n += model[p].there;
    return n;
}

static enum err_code model_apply(const struct cart_request *r, int64_t clock,
                                 bool *changed)
{
    int p = r->line.product_id, sum;
    *changed = true;
    switch (r->action) {
    case CART_ADD:
        sum = r->line.quantity + (model[p].there ? model[p].quantity : 0);
        if (sum > 999)
            return ERR_TOO_MANY_UNITS;
        if (!model[p].there && model_lines() == 100)
            return ERR_TOO_MANY_LINES;
        if (!model[p].there)
            model[p].added = clock;
        model[p].there = true;
        model[p].quantity = sum;
        model[p].price = r->line.price;
        model[p].name = r->line.name;
        return ERR_NONE;
    case CART_UPDATE:
    case CART_REMOVE:
        if (!model[p].there)
            return ERR_LINE_NOT_FOUND;
        sum = r->action == CART_UPDATE ? r->line.quantity : 0;
        *changed = sum != model[p].quantity;
        model[p].quantity = sum;
        model[p].there = sum > 0;
        return ERR_NONE;
    case CART_CLEAR:
        *changed = model_lines() > 0;
        for (p = 1; p <= PRODUCTS; p++)
            model[p].there = false;
        return ERR_NONE;
    }
    return ERR_INTERNAL;
}

static void compare_with_model(const struct cart *cart)
{
    int64_t added = -1;
    assert_int_equal(cart->n_lines, model_lines());
    for (size_t i = 0; i < cart->n_lines; i++) {
        const struct cart_line *line = &cart->lines[i];
        int p = line->product_id;
        assert_true(model[p].there);
        assert_true(model[p].added > added);
        added = model[p].added;
        assert_int_equal(line->quantity, model[p].quantity);
        assert_int_equal(line->price, model[p].price);
        assert_ptr_equal(line->name, model[p].name);
    }
}

static void random_actions_agree_with_a_model(void **state)
{
    (void)state;
    static const char *const names[] = {"one", "two", "three"};
    int seen[ERR__MAX] = {0};
    random_state = 2463534242U;
    memset(model, 0, sizeof model);
    struct cart cart = {.user_id = "u"};
    for (int64_t clock = 0; clock < 30000; clock++) {
        int what = below(2000);
        struct cart_request r = {.action = what < 1      ? CART_CLEAR
                                           : what < 1400 ? CART_ADD
                                           : what < 1960 ? CART_UPDATE
                                                         : CART_REMOVE,
                                 .line = {1 + below(PRODUCTS), names[below(3)],
                                          1 + below(100000000),
                                          below(4) ? 1 + below(40) : 1 + below(999)}};
        if (r.action == CART_UPDATE && below(40) == 0)
            r.line.quantity = 0;
        bool changed;
        enum err_code expected = model_apply(&r, clock, &changed);
        enum cart_change change;
        size_t line;
        int64_t version = cart.version;
        struct err err = cart_apply(&cart, &r, T2, &change, &line);
        assert_int_equal(err.code, expected);
        seen[err.code]++;
        bool moved = !err_is(err) && changed;
        assert_int_equal(cart.version, version + moved);
        compare_with_model(&cart);
    }
    assert_true(seen[ERR_NONE] > 10000);
    assert_true(seen[ERR_TOO_MANY_LINES] > 50);
    assert_true(seen[ERR_TOO_MANY_UNITS] > 50);
    assert_true(seen[ERR_LINE_NOT_FOUND] > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(user_ids_have_a_length_and_an_alphabet),
        UNIT_TEST(user_ids_are_made_of_just_these_bytes),
        UNIT_TEST(product_ids_are_plain_numbers),
        UNIT_TEST(add_makes_a_line_at_the_end),
        UNIT_TEST(add_grows_a_line_and_renews_name_and_price),
        UNIT_TEST(a_line_holds_999_units),
        UNIT_TEST(too_many_units_are_the_quantitys_fault),
        UNIT_TEST(a_cart_holds_100_lines),
        UNIT_TEST(update_sets_the_quantity_alone),
        UNIT_TEST(update_to_nothing_removes_the_line),
        UNIT_TEST(the_same_quantity_changes_nothing),
        UNIT_TEST(remove_takes_the_line_out),
        UNIT_TEST(a_line_that_is_not_there_is_not_found),
        UNIT_TEST(clear_empties_the_cart_once),
        UNIT_TEST(a_line_added_again_is_the_last),
        UNIT_TEST(random_actions_agree_with_a_model),
    };
    return UNIT_RUN(tests);
}
