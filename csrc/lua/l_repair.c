/* Repair of pruned layers: rows of regression problems from a plan's values, and the problems' solutions.
 * lua/secateur/pruning/repair wraps them. */
#include "base/size.h"
#include "graph/executor.h"
#include "lua/core.h"
#include "lua/l_graph.h"
#include "lua/l_plan.h"
#include "lua/l_tensor.h"
#include "lua/support.h"
#include "prune/least_squares.h"
#include "prune/sampled_rows.h"

#include <string.h>

/* A field {vertical, horizontal} of the options, or `fallback` for both. */
static void read_pair(lua_State *L, int options, const char *field, size_t fallback, size_t pair[2]) {
    pair[0] = pair[1] = fallback;
    if (sc_lua_field(L, options, field) != LUA_TNIL) {
        if (!lua_istable(L, -1))
            sc_lua_expected(L, -1, "sample_rows", field, "a list of two numbers");
        for (int d = 0; d < 2; d++) {
            lua_rawgeti(L, -1, d + 1);
            pair[d] = (size_t)sc_lua_check_integer(L, lua_gettop(L), "sample_rows", field, 0, 1 << 24);
            lua_pop(L, 1);
        }
    }
    lua_pop(L, 1);
}

/* The patch of a convolution over the maps of a node; `range` gets the first channel. Returns how many positions. */
static size_t read_patch(lua_State *L, int options, const sc_shape *map, sc_patch_shape *patch, size_t *range) {
    size_t outputs = 1, all = map->size[0];
    *patch = (sc_patch_shape){.height = map->size[1], .width = map->size[2]};
    read_pair(L, options, "kernel", 1, patch->kernel);
    read_pair(L, options, "stride", 1, patch->stride);
    read_pair(L, options, "padding", 0, patch->padding);
    read_pair(L, options, "dilation", 1, patch->dilation);
    *range = (size_t)sc_lua_field_integer(L, options, "sample_rows", "first", 1, 1, (lua_Integer)all) - 1;
    patch->channels = (size_t)sc_lua_field_integer(L, options, "sample_rows", "channels", (lua_Integer)(all - *range),
                                                   1, (lua_Integer)(all - *range));
    for (int d = 0; d < 2; d++) {
        size_t reach = (patch->kernel[d] - 1) * patch->dilation[d] + 1,
               padded = map->size[d + 1] + 2 * patch->padding[d];
        if (patch->kernel[d] == 0 || patch->stride[d] == 0 || reach > padded)
            sc_lua_fail(L, "sample_rows: kernel: expected one that fits the map");
        patch->columns = (padded - reach) / patch->stride[d] + 1;
        outputs *= patch->columns;
    }
    return outputs;
}

/* sample_rows(plan, node, to, image, {per_image =, seed = 0 [, kernel =, stride =, padding =, dilation =, first =,
 * channels =]}): writes the node's values at sampled positions into the rows of Tensor `to` that belong to the images
 * of the last run, of which the first is number `image`, from 0. Of maps a row is the patch of a convolution with these
 * attributes over `channels` channels from `first` on (all of them, 1 x 1); of tokens [T x D] and vectors [D] all D. */
static int sample_rows(lua_State *L) {
    static const char *const known[] = {"per_image", "seed",  "kernel",   "stride", "padding",
                                        "dilation",  "first", "channels", NULL};
    const sc_plan *plan = sc_lua_check_plan(L, 1, "sample_rows");
    size_t node = sc_lua_check_node(L, 2, plan->graph, "sample_rows");
    const sc_tensor *to = sc_lua_check_tensor_of(L, 3, "sample_rows", "to", SC_REAL);
    size_t image = (size_t)sc_lua_check_integer(L, 4, "sample_rows", "image", 0, INT32_MAX);
    if (!lua_istable(L, 5))
        sc_lua_expected(L, 5, "sample_rows", "options", "a table");
    sc_lua_check_keys(L, 5, "sample_rows", known);
    const sc_shape *shape = &plan->graph->nodes[node].shape;
    bool is_map = shape->ndim == 3;
    sc_patch_shape patch = {0};
    size_t first = 0, width = shape->size[shape->ndim - 1];
    sc_row_sampling sampling = {.positions = sc_shape_numel(shape) / width};
    if (is_map) {
        sampling.positions = read_patch(L, 5, shape, &patch, &first);
        width = patch.channels * patch.kernel[0] * patch.kernel[1];
    }
    sampling.seed = (uint64_t)sc_lua_field_integer(L, 5, "sample_rows", "seed", 0, LUA_MININTEGER, LUA_MAXINTEGER);
    sampling.per_image =
        (size_t)sc_lua_field_integer(L, 5, "sample_rows", "per_image", 1, 1, (lua_Integer)sampling.positions);
    const sc_real *value = sc_plan_value(plan, node);
    if (!value)
        sc_lua_fail(L, "sample_rows: node: expected one named in keep, after a run, got '%s'", lua_tostring(L, 2));
    size_t rows = (image + plan->current_batch) * sampling.per_image;
    if (to->shape.ndim != 2 || to->shape.size[1] != width || to->shape.size[0] < rows)
        sc_lua_fail(L, "sample_rows: to: expected a Tensor of %I or more rows of %I", (LUAI_UACINT)rows,
                    (LUAI_UACINT)width);
    sc_real *at = sc_tensor_real(to) + image * sampling.per_image * width;
    size_t map = is_map ? shape->size[1] * shape->size[2] : 0;
    if (is_map)
        sc_sample_patches(at, value + first * map, plan->current_batch, shape->size[0] * map, image, &patch, &sampling);
    else
        sc_sample_vectors(at, value, plan->current_batch, image, width, &sampling);
    return 0;
}

static sc_tensor *check_matrix(lua_State *L, int index, const char *function, const char *argument) {
    sc_tensor *matrix = sc_lua_check_tensor_of(L, index, function, argument, SC_REAL);
    if (matrix->shape.ndim != 2 || sc_tensor_numel(matrix) == 0)
        sc_lua_expected(L, index, function, argument, "a matrix that is not empty");
    return matrix;
}

/* Flags of the units listed in the field `keep`, in a userdata left on the stack; NULL where it is absent. */
static const bool *read_keep(lua_State *L, int options, size_t units) {
    if (sc_lua_field(L, options, "keep") == LUA_TNIL)
        return NULL;
    size_t count;
    const size_t *list =
        sc_lua_check_index_list(L, lua_gettop(L), "least_squares", "keep", 1, (lua_Integer)units, &count);
    bool *keep = lua_newuserdatauv(L, units + 1, 0);
    memset(keep, 0, units + 1);
    for (size_t i = 0; i < count; i++)
        keep[list[i]] = true;
    return keep;
}

/* Pushes a copy of a tensor. */
static sc_tensor *push_copy(lua_State *L, const sc_tensor *from) {
    sc_tensor *copy;
    sc_lua_push_new(L, from->dtype, &from->shape, false, &copy);
    memcpy(sc_tensor_data(copy), sc_tensor_data(from), sc_tensor_numel(from) * sc_dtype_size(from->dtype));
    return copy;
}

static void push_result(lua_State *L, const sc_least_squares *p) {
    lua_createtable(L, 0, 3);
    lua_pushinteger(L, (lua_Integer)p->live);
    lua_setfield(L, -2, "live");
    lua_pushnumber(L, p->before);
    lua_setfield(L, -2, "before");
    lua_pushnumber(L, p->after);
    lua_setfield(L, -2, "after");
}

/* least_squares(x [R x P], y [R x U], weight [U x P], bias [U] or nil, {ridge = 0.1, keep = units, threshold = [R x U],
 * rectified = false, passes = 2}) -> weight, bias or nil, {live =, before =, after =}: see prune/least_squares.h. x and
 * y are overwritten. */
static int least_squares(lua_State *L) {
    static const char *const known[] = {"ridge", "keep", "threshold", "rectified", "passes", NULL};
    static const char name[] = "least_squares";
    lua_settop(L, 5);
    const sc_tensor *x = check_matrix(L, 1, name, "x"), *y = check_matrix(L, 2, name, "y");
    const sc_tensor *weight = check_matrix(L, 3, name, "weight");
    size_t rows = x->shape.size[0], columns = x->shape.size[1], units = y->shape.size[1];
    if (y->shape.size[0] != rows || weight->shape.size[0] != units || weight->shape.size[1] != columns)
        sc_lua_fail(L, "least_squares: expected x [R x P], y [R x U] and weight [U x P]");
    const sc_tensor *bias = lua_isnil(L, 4) ? NULL : sc_lua_check_tensor_of(L, 4, name, "bias", SC_REAL);
    if (bias && (bias->shape.ndim != 1 || bias->shape.size[0] != units))
        sc_lua_fail(L, "least_squares: bias: expected a Tensor [%I]", (LUAI_UACINT)units);
    if (!lua_istable(L, 5))
        sc_lua_expected(L, 5, name, "options", "a table");
    sc_lua_check_keys(L, 5, name, known);
    const sc_tensor *threshold = NULL;
    if (sc_lua_field(L, 5, "threshold") != LUA_TNIL)
        threshold = sc_lua_check_tensor_like(L, lua_gettop(L), name, "threshold", y);
    sc_least_squares problem = {
        .rows = rows,
        .columns = columns,
        .units = units,
        .x = sc_tensor_real(x),
        .y = sc_tensor_real(y),
        .threshold = threshold ? sc_tensor_real(threshold) : NULL,
        .keep = read_keep(L, 5, units),
        .ridge = sc_lua_field_number(L, 5, name, "ridge", 0.1),
        .rectified = sc_lua_field_flag(L, 5, name, "rectified", false),
        .passes = (size_t)sc_lua_field_integer(L, 5, name, "passes", 2, 0, 100),
    };
    if (!(problem.ridge >= 0))
        sc_lua_fail(L, "least_squares: ridge: expected a number of at least 0, got %f", problem.ridge);
    problem.weight = sc_tensor_real(push_copy(L, weight));
    if (bias)
        problem.bias = sc_tensor_real(push_copy(L, bias));
    else
        lua_pushnil(L);
    sc_error error;
    sc_lua_try(L, sc_least_squares_fit(&problem, &error), &error);
    push_result(L, &problem);
    return 3;
}

/* column_moments(x [R x P]) -> means [P], variances [P] (of the rows, not of a population they are drawn from). */
static int column_moments(lua_State *L) {
    const sc_tensor *x = check_matrix(L, 1, "column_moments", "x");
    size_t columns = x->shape.size[1];
    sc_shape shape = {.ndim = 1, .size = {columns}};
    double *found = lua_newuserdatauv(L, 2 * columns * sizeof *found, 0);
    sc_tensor *out[2];
    sc_lua_push_new(L, SC_REAL, &shape, false, &out[0]);
    sc_lua_push_new(L, SC_REAL, &shape, false, &out[1]);
    sc_column_moments(found, found + columns, sc_tensor_real(x), x->shape.size[0], columns);
    for (size_t c = 0; c < columns; c++) {
        sc_tensor_real(out[0])[c] = (sc_real)found[c];
        sc_tensor_real(out[1])[c] = (sc_real)found[columns + c];
    }
    return 2;
}

void sc_lua_open_repair(lua_State *L) {
    static const luaL_Reg functions[] = {{"sample_rows", sample_rows},
                                         {"least_squares", least_squares},
                                         {"column_moments", column_moments},
                                         {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
