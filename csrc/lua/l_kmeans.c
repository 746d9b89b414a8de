/* Clustering of rows, for sampling. */
#include "kernel/kmeans.h"

#include "base/interrupt.h"
#include "lua/core.h"
#include "lua/l_tensor.h"
#include "lua/support.h"

#include <math.h>
#include <string.h>

/* One row of the list at stack slot 1; all must have as many numbers as the first. */
static const sc_tensor *check_row(lua_State *L, size_t row, size_t width) {
    lua_rawgeti(L, 1, (lua_Integer)row + 1);
    const char *name = lua_pushfstring(L, "features[%I]", (LUAI_UACINT)(row + 1));
    const sc_tensor *tensor = sc_lua_check_tensor_of(L, -2, "kmeans", name, SC_REAL);
    if (width && sc_tensor_numel(tensor) != width)
        sc_lua_fail(L, "kmeans: %s: expected %I numbers as in the first, got %I", name, (LUAI_UACINT)width,
                    (LUAI_UACINT)sc_tensor_numel(tensor));
    lua_pop(L, 2); /* the list holds it */
    return tensor;
}

/* Pushes the features as one Tensor [n x d]: slot 1 itself, or the rows of the list there, copied. */
static const sc_tensor *push_features(lua_State *L) {
    if (!lua_istable(L, 1)) {
        const sc_tensor *tensor = sc_lua_check_tensor_of(L, 1, "kmeans", "features", SC_REAL);
        char text[SC_SHAPE_TEXT];
        if (tensor->shape.ndim != 2 || sc_tensor_numel(tensor) == 0)
            sc_lua_fail(L, "kmeans: features: expected a Tensor [N x D], got %s",
                        sc_shape_format(text, &tensor->shape));
        lua_pushvalue(L, 1);
        return tensor;
    }
    size_t count = (size_t)lua_rawlen(L, 1);
    if (count == 0)
        sc_lua_fail(L, "kmeans: features: expected at least one row, got none");
    size_t width = sc_tensor_numel(check_row(L, 0, 0));
    if (width == 0)
        sc_lua_fail(L, "kmeans: features: expected rows of at least one number, got none");
    sc_shape shape;
    sc_error error;
    sc_lua_try(L, sc_shape_init(&shape, 2, (const size_t[]){count, width}, &error), &error);
    sc_tensor *matrix;
    sc_lua_push_new(L, SC_REAL, &shape, false, &matrix);
    for (size_t row = 0; row < count; row++) {
        const sc_tensor *from = check_row(L, row, width);
        memcpy(sc_tensor_real(matrix) + row * width, sc_tensor_real(from), width * sizeof(sc_real));
    }
    return matrix;
}

static void check_finite(lua_State *L, const sc_tensor *features) {
    size_t width = features->shape.size[1], count = sc_tensor_numel(features);
    for (size_t i = 0; i < count; i++)
        if (!isfinite(sc_tensor_real(features)[i]))
            sc_lua_fail(L, "kmeans: features: expected finite numbers, row %I holds others",
                        (LUAI_UACINT)(i / width + 1));
}

/* Pushes a Tensor of `count` int64; the indices that the kernel writes into it have the same size. */
static size_t *push_indices(lua_State *L, size_t count) {
    sc_shape shape = {.ndim = 1, .size = {count}};
    sc_tensor *tensor;
    _Static_assert(sizeof(size_t) == sizeof(int64_t), "indices share their storage");
    sc_lua_push_new(L, SC_INT64, &shape, true, &tensor);
    return sc_tensor_data(tensor);
}

/* kmeans(features, k, {seed = 0}) -> centroids [k x D], assignment [N] (int64, from 1), list of k samples, the nearest
 * of each cluster to its centroid. Features: a Tensor [N x D], or a list of N Tensors of D numbers. */
static int kmeans(lua_State *L) {
    static const char *const known[] = {"seed", NULL};
    lua_settop(L, 3);
    const sc_tensor *features = push_features(L);
    size_t n = features->shape.size[0], d = features->shape.size[1];
    size_t k = (size_t)sc_lua_check_integer(L, 2, "kmeans", "k", 1, (lua_Integer)n);
    lua_Integer seed = 0;
    if (!lua_isnil(L, 3)) {
        if (!lua_istable(L, 3))
            sc_lua_expected(L, 3, "kmeans", "options", "a table");
        sc_lua_check_keys(L, 3, "kmeans", known);
        seed = sc_lua_field_integer(L, 3, "kmeans", "seed", 0, LUA_MININTEGER, LUA_MAXINTEGER);
    }
    check_finite(L, features);
    sc_shape shape = {.ndim = 2, .size = {k, d}};
    sc_tensor *centroids;
    sc_lua_push_new(L, SC_REAL, &shape, false, &centroids);
    size_t *assignment = push_indices(L, n), *nearest = push_indices(L, k);
    sc_kmeans_result result = {.centroids = sc_tensor_real(centroids), .assignment = assignment, .nearest = nearest};
    sc_error error;
    sc_interrupt_begin();
    sc_status status = sc_kmeans(&result, sc_tensor_real(features), n, d, k, (uint64_t)seed, &error);
    sc_interrupt_end();
    sc_lua_try(L, status, &error);
    for (size_t i = 0; i < n; i++)
        assignment[i]++;
    lua_createtable(L, (int)k, 0);
    for (size_t c = 0; c < k; c++) {
        lua_pushinteger(L, (lua_Integer)nearest[c] + 1);
        lua_rawseti(L, -2, (lua_Integer)c + 1);
    }
    lua_remove(L, -2); /* the Tensor behind nearest */
    return 3;
}

void sc_lua_open_kmeans(lua_State *L) {
    static const luaL_Reg functions[] = {{"kmeans", kmeans}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
