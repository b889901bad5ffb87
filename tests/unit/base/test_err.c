#include "unit.h"

#include <string.h>

#include "base/err.h"

static void ok_is_no_error(void **state)
{
    (void)state;
    assert_false(err_is(err_ok()));
    assert_int_equal(err_ok().code, 0);
    assert_null(err_ok().detail);
    assert_null(err_ok().next);
}

static void make_keeps_what_it_is_given(void **state)
{
    (void)state;
    const char *field = "/price", *detail = "too high";
    struct err e = err_make(ERR_INVALID_PRICE, field, detail);
    assert_true(err_is(e));
    assert_int_equal(e.code, ERR_INVALID_PRICE);
    assert_ptr_equal(e.field, field);
    assert_ptr_equal(e.detail, detail);
    assert_null(e.next);
}

// The codes of the API's documentation once more: changing one breaks clients.
static void codes_are_as_documented(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *slugs;
    } documented[] = {
        {400, "invalid-json invalid-utf8 duplicate-key nesting-too-deep invalid-if-match "
              "invalid-if-none-match invalid-idempotency-key"},
        {404, "not-found invalid-user-id invalid-product-id line-not-found"},
        {405, "method-not-allowed"},
        {412, "version-mismatch"},
        {413, "body-too-large"},
        {415, "unsupported-media-type"},
        {422, "body-not-object unknown-field missing-field invalid-product invalid-name "
              "invalid-price invalid-quantity too-many-units too-many-lines "
              "idempotency-key-reused"},
        {500, "internal"},
        {503, "database-unavailable overloaded outcome-unknown"},
    };
    enum err_code code = ERR_NONE + 1;
    for (size_t i = 0; i < LENGTH(documented); i++) {
        char slugs[256];
        char *rest = NULL;
        snprintf(slugs, sizeof slugs, "%s", documented[i].slugs);
        for (char *slug = strtok_r(slugs, " ", &rest); slug;
             slug = strtok_r(NULL, " ", &rest), code++) {
            assert_string_equal(err_slug(code), slug);
            assert_int_equal(err_status(code), documented[i].status);
        }
    }
    assert_int_equal(code, ERR_CONFIG);
}

static void rows_are_complete_and_slugs_unique(void **state)
{
    (void)state;
    for (enum err_code a = ERR_NONE; a < ERR__MAX; a++) {
        assert_in_range(err_status(a), 200, 599);
        assert_true(*err_title(a));
        assert_int_equal(strspn(err_slug(a), "abcdefghijklmnopqrstuvwxyz0123456789-"),
                         strlen(err_slug(a)));
        for (enum err_code b = ERR_NONE; b < a; b++) {
            assert_string_not_equal(err_slug(a), err_slug(b));
            // The title is the phrase of the status.
            if (err_status(a) == err_status(b))
                assert_string_equal(err_title(a), err_title(b));
        }
    }
}

static void unknown_codes_are_internal(void **state)
{
    (void)state;
    assert_int_equal(err_status(ERR__MAX), 500);
    assert_string_equal(err_slug((enum err_code)1000), "internal");
    assert_string_equal(err_title((enum err_code) - 1), "Internal Server Error");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(ok_is_no_error),
        UNIT_TEST(make_keeps_what_it_is_given),
        UNIT_TEST(codes_are_as_documented),
        UNIT_TEST(rows_are_complete_and_slugs_unique),
        UNIT_TEST(unknown_codes_are_internal),
    };
    return UNIT_RUN(tests);
}
