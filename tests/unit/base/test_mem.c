#include "unit.h"

#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

static void request_memory_goes_at_once(void **state)
{
    void *mem = mem_request_new();
    assert_string_equal(talloc_get_name(mem), "request");
    char *small = mem_printf(mem, "%d-%s", 42, "x");
    assert_string_equal(small, "42-x");
    size_t size = 4 * (size_t)MEM_REQUEST_POOL;
    char *large = mem_array(mem, char, size);
    memset(large, 'x', size);
    assert_ptr_equal(talloc_parent(large), mem);
    talloc_steal(*state, mem);
    assert_true(talloc_total_size(*state) >= size);
    talloc_free(mem);
}

// Under sanitizers there is no pool to keep.
static void a_request_s_pool_is_used_again_and_empty(void **state)
{
    (void)state;
    void *first = mem_request_new();
    mem_printf(first, "%d", 1);
    mem_array(first, char, 4 * (size_t)MEM_REQUEST_POOL);
    mem_request_free(first);
    for (int i = 0; i < 1000; i++) {
        void *again = mem_request_new();
        assert_int_equal(talloc_total_blocks(again), 1); // itself
        assert_string_equal(talloc_get_name(again), "request");
        // What fits into the pool lies in it, each time.
        char *part = mem_array(again, char, MEM_REQUEST_POOL * 3 / 4);
        memset(part, 'x', MEM_REQUEST_POOL * 3 / 4);
        if (again == first)
            assert_true(part > (char *)first && part < (char *)first + MEM_REQUEST_POOL);
        mem_request_free(again);
    }
    void *many[600]; // more than are kept
    for (size_t i = 0; i < 600; i++)
        many[i] = mem_request_new();
    for (size_t i = 0; i < 600; i++)
        mem_request_free(many[i]);
}

static void zeroed_memory_is_zero(void **state)
{
    struct pair {
        int64_t a, b;
    };
    struct pair *one = mem_zero(*state, struct pair);
    assert_int_equal(one->a, 0);
    assert_int_equal(one->b, 0);
    struct pair *many = mem_array(*state, struct pair, 100);
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(many[i].a | many[i].b, 0);
    assert_int_equal(talloc_get_size(many), 100 * sizeof *many);
    struct pair *none = mem_array(*state, struct pair, 0);
    assert_non_null(none);
    talloc_free(none);
    talloc_free(many);
    talloc_free(one);
}

static void strndup_copies_bytes(void **state)
{
    char *s = mem_strndup(*state, "abc\0def", 7);
    assert_memory_equal(s, "abc\0def", 8);
    talloc_free(s);
    s = mem_strndup(*state, "abc", 2);
    assert_string_equal(s, "ab");
    talloc_free(s);
    s = mem_strndup(*state, "abc", 0);
    assert_string_equal(s, "");
    talloc_free(s);
}

static void give_nothing(void)
{
    mem_must(NULL);
}

static void ask_too_much(void)
{
    mem_zero_array(NULL, SIZE_MAX / 2, 3);
}

static void ask_more_than_talloc_gives(void)
{
    (void)mem_array(NULL, char, SIZE_MAX / 2);
}

static void out_of_memory_aborts(void **state)
{
    (void)state;
    assert_true(unit_aborts(give_nothing));
    assert_true(unit_aborts(ask_too_much));
    assert_true(unit_aborts(ask_more_than_talloc_gives));
    assert_ptr_equal(mem_must(state), state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(request_memory_goes_at_once),
        UNIT_TEST(a_request_s_pool_is_used_again_and_empty),
        UNIT_TEST(zeroed_memory_is_zero),
        UNIT_TEST(strndup_copies_bytes),
        UNIT_TEST(out_of_memory_aborts),
    };
    return UNIT_RUN(tests);
}
