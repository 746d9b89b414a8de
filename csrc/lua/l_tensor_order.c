/* Sorting, ranks and regrouping of the class Tensor: new tensors, operands untouched. */
#include "base/interrupt.h"
#include "lua/l_tensor.h"
#include "lua/support.h"
#include "tensor/order.h"

#include <string.h>

static int check_dimension(lua_State *L, const sc_tensor *x, const char *method) {
    return (int)sc_lua_check_integer(L, 2, method, "dimension", 1, x->shape.ndim) - 1;
}

/* argsort(dimension [, descending = false]) -> int64 Tensor of indices; equal elements keep their order, NaN is last.
 */
static int tensor_argsort(lua_State *L) {
    sc_tensor *x = sc_lua_check_tensor_of(L, 1, "argsort", "self", SC_REAL);
    int dimension = check_dimension(L, x, "argsort");
    bool descending = sc_lua_check_flag(L, 3, "argsort", "descending", false);
    sc_tensor *out = sc_lua_new_tensor(L);
    sc_error error;
    sc_interrupt_begin();
    sc_status status = sc_tensor_argsort(out, x, dimension, descending, &error);
    sc_interrupt_end();
    sc_lua_try_in(L, "argsort", status, &error);
    return 1;
}

/* rank(dimension [, ties = "average"]) -> Tensor: 1 for the smallest. Equal elements share their mean rank, or with
 * "first" rank in the order in which they stand. */
static int tensor_rank(lua_State *L) {
    sc_tensor *x = sc_lua_check_tensor_of(L, 1, "rank", "self", SC_REAL);
    int dimension = check_dimension(L, x, "rank");
    sc_ties ties = SC_TIES_AVERAGE;
    if (!lua_isnoneornil(L, 3)) {
        const char *name = sc_lua_check_string(L, 3, "rank", "ties");
        if (strcmp(name, "first") == 0)
            ties = SC_TIES_FIRST;
        else if (strcmp(name, "average") != 0)
            sc_lua_fail(L, "rank: ties: expected 'average' or 'first', got '%s'", name);
    }
    sc_tensor *out = sc_lua_new_tensor(L);
    sc_error error;
    sc_interrupt_begin();
    sc_status status = sc_tensor_rank(out, x, dimension, ties, &error);
    sc_interrupt_end();
    sc_lua_try_in(L, "rank", status, &error);
    return 1;
}

/* The indices at stack slot 3, which becomes an int64 Tensor where it is a list. */
static const sc_tensor *check_indices(lua_State *L, const char *method, const char *argument) {
    if (lua_istable(L, 3)) {
        size_t count = (size_t)lua_rawlen(L, 3);
        sc_shape shape = {.ndim = 1, .size = {count}};
        sc_tensor *list;
        sc_lua_push_new(L, SC_INT64, &shape, true, &list);
        for (size_t k = 0; k < count; k++) {
            lua_rawgeti(L, 3, (lua_Integer)k + 1);
            sc_tensor_int64(list)[k] = sc_lua_check_integer(L, -1, method, argument, LUA_MININTEGER, LUA_MAXINTEGER);
            lua_pop(L, 1);
        }
        lua_replace(L, 3);
        return list;
    }
    if (!sc_lua_test_tensor(L, 3))
        sc_lua_expected(L, 3, method, argument, "a list of whole numbers or an int64 Tensor");
    const sc_tensor *list = sc_lua_check_tensor_of(L, 3, method, argument, SC_INT64);
    if (list->shape.ndim != 1)
        sc_lua_fail(L, "%s: %s: expected one dimension, got %d", method, argument, list->shape.ndim);
    return list;
}

/* take(dimension, indices) -> Tensor made of those slices of the dimension, in that order; a list or an int64 Tensor.
 */
static int tensor_take(lua_State *L) {
    lua_settop(L, 3);
    sc_tensor *x = sc_lua_check_tensor(L, 1, "take", "self");
    int dimension = check_dimension(L, x, "take");
    const sc_tensor *indices = check_indices(L, "take", "indices");
    sc_error error;
    sc_tensor *out = sc_lua_new_tensor(L);
    sc_status status = sc_tensor_take(out, x, dimension, sc_tensor_int64(indices), sc_tensor_numel(indices), &error);
    sc_lua_try_in(L, "take", status, &error);
    return 1;
}

/* sum_groups(dimension, groups, count) -> Tensor with `count` slices in that dimension: slice g is the sum of those
 * whose group is g. One group per slice; a list or an int64 Tensor. */
static int tensor_sum_groups(lua_State *L) {
    lua_settop(L, 4);
    sc_tensor *x = sc_lua_check_tensor_of(L, 1, "sum_groups", "self", SC_REAL);
    int dimension = check_dimension(L, x, "sum_groups");
    const sc_tensor *groups = check_indices(L, "sum_groups", "groups");
    size_t count = (size_t)sc_lua_check_integer(L, 4, "sum_groups", "count", 0, 1 << 30);
    size_t size = x->shape.size[dimension];
    if (sc_tensor_numel(groups) != size)
        sc_lua_fail(L, "sum_groups: groups: expected %I, one per slice, got %I", (LUAI_UACINT)size,
                    (LUAI_UACINT)sc_tensor_numel(groups));
    sc_error error;
    sc_tensor *out = sc_lua_new_tensor(L);
    sc_lua_try_in(L, "sum_groups", sc_tensor_sum_groups(out, x, dimension, sc_tensor_int64(groups), count, &error),
                  &error);
    return 1;
}

void sc_lua_add_tensor_order(lua_State *L) {
    static const luaL_Reg methods[] = {
        {"argsort", tensor_argsort},       {"rank", tensor_rank}, {"take", tensor_take},
        {"sum_groups", tensor_sum_groups}, {NULL, NULL},
    };
    luaL_setfuncs(L, methods, 0);
}
