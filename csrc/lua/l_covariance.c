/* The class Covariance, and the sums behind it. lua/secateur/pruning wraps them. */
#include "prune/covariance.h"

#include "base/interrupt.h"
#include "base/size.h"
#include "graph/executor.h"
#include "kernel/gram.h"
#include "lua/core.h"
#include "lua/l_graph.h"
#include "lua/l_plan.h"
#include "lua/l_tensor.h"
#include "lua/support.h"
#include "prune/redundancy.h"

#include <math.h>

#define CLASS SC_LUA_CLASS("Covariance")

static sc_covariance *check_covariance(lua_State *L, const char *method) {
    sc_covariance **box = luaL_testudata(L, 1, CLASS);
    if (!box)
        sc_lua_expected(L, 1, method, "self", "a Covariance");
    else if (!*box)
        sc_lua_fail(L, "%s: self: expected a Covariance, got a closed one", method);
    return *box;
}

/* covariance(units) -> Covariance */
static int covariance_create(lua_State *L) {
    size_t units = (size_t)sc_lua_check_integer(L, 1, "covariance", "units", 1, 1 << 24);
    sc_lua_collect_if_due(L);
    sc_covariance **box = sc_lua_new_object(L, CLASS, sizeof(sc_covariance *));
    sc_error error;
    sc_lua_try(L, sc_covariance_create(box, units, &error), &error);
    return 1;
}

/* The options {positions = all, seed = 0} at index, or nil. */
static void check_options(lua_State *L, int index, sc_unit_values *batch) {
    static const char *const known[] = {"positions", "seed", NULL};
    batch->most = batch->positions;
    if (lua_isnoneornil(L, index))
        return;
    if (!lua_istable(L, index))
        sc_lua_expected(L, index, "add", "options", "a table");
    sc_lua_check_keys(L, index, "add", known);
    batch->most =
        (size_t)sc_lua_field_integer(L, index, "add", "positions", (lua_Integer)batch->positions, 1, LUA_MAXINTEGER);
    batch->seed = (uint64_t)sc_lua_field_integer(L, index, "add", "seed", 0, LUA_MININTEGER, LUA_MAXINTEGER);
}

static int run_add(lua_State *L, sc_covariance *c, const sc_unit_values *batch) {
    sc_error error;
    sc_interrupt_begin();
    sc_status status = sc_covariance_add(c, batch, &error);
    sc_interrupt_end();
    sc_lua_try(L, status, &error);
    return 0;
}

/* covariance:add(plan, node [, {positions =, seed =}]): the values of a node that the plan keeps, of the last run.
 * Units are channels of maps, or features: the last dimension of tokens. */
static int covariance_add(lua_State *L) {
    sc_covariance *c = check_covariance(L, "add");
    sc_plan *plan = sc_lua_check_plan(L, 2, "add");
    sc_lua_refuse_in_finalizer(L, "add");
    size_t index = sc_lua_check_node(L, 3, plan->graph, "add");
    const sc_shape *shape = &plan->graph->nodes[index].shape;
    sc_unit_values batch = {.values = sc_plan_value(plan, index), .images = plan->current_batch};
    if (!batch.values)
        sc_lua_fail(L, "add: node: expected one named in keep, after forward(), got '%s'", lua_tostring(L, 3));
    batch.maps = shape->ndim != 2;
    size_t units = shape->size[batch.maps ? 0 : 1];
    if (units != c->units)
        sc_lua_fail(L, "add: node: expected one of %I units, got '%s' of %I", (LUAI_UACINT)c->units, lua_tostring(L, 3),
                    (LUAI_UACINT)units);
    batch.positions = sc_shape_numel(shape) / units;
    check_options(L, 4, &batch);
    return run_add(L, c, &batch);
}

/* covariance:add_rows(x [N x units]): each row an image of one position. */
static int covariance_add_rows(lua_State *L) {
    sc_covariance *c = check_covariance(L, "add_rows");
    const sc_tensor *x = sc_lua_check_tensor_of(L, 2, "add_rows", "x", SC_REAL);
    char text[SC_SHAPE_TEXT];
    sc_lua_refuse_in_finalizer(L, "add_rows");
    if (x->shape.ndim != 2 || x->shape.size[1] != c->units)
        sc_lua_fail(L, "add_rows: x: expected [N x %I], got %s", (LUAI_UACINT)c->units,
                    sc_shape_format(text, &x->shape));
    return run_add(
        L, c, &(sc_unit_values){.values = sc_tensor_real(x), .images = x->shape.size[0], .positions = 1, .most = 1});
}

/* covariance:count() -> rows so far, images so far */
static int covariance_count(lua_State *L) {
    const sc_covariance *c = check_covariance(L, "count");
    lua_pushinteger(L, (lua_Integer)c->count);
    lua_pushinteger(L, (lua_Integer)c->images);
    return 2;
}

/* `count` doubles in a userdata left on the stack. */
static double *new_doubles(lua_State *L, const char *function, size_t rows, size_t columns) {
    size_t count = 0;
    if (!sc_size_multiply(&count, rows, columns) || count > SIZE_MAX / sizeof(double))
        sc_lua_fail(L, "%s: too many units", function);
    return lua_newuserdatauv(L, count * sizeof(double), 0);
}

static void push_list(lua_State *L, const double *x, size_t count) {
    lua_createtable(L, (int)count, 0);
    for (size_t i = 0; i < count; i++) {
        lua_pushnumber(L, x[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
}

static void push_rows(lua_State *L, const double *x, size_t rows, size_t columns) {
    lua_createtable(L, (int)rows, 0);
    for (size_t r = 0; r < rows; r++) {
        push_list(L, x + r * columns, columns);
        lua_rawseti(L, -2, (lua_Integer)r + 1);
    }
}

/* covariance:means() -> list of numbers, one per unit */
static int covariance_means(lua_State *L) {
    sc_covariance *c = check_covariance(L, "means");
    sc_lua_refuse_in_finalizer(L, "means");
    double *mean = new_doubles(L, "means", c->units, 1);
    sc_error error;
    sc_lua_try(L, sc_covariance_read(c, mean, NULL, &error), &error);
    push_list(L, mean, c->units);
    return 1;
}

/* covariance:variances() -> list of numbers, one per unit */
static int covariance_variances(lua_State *L) {
    sc_covariance *c = check_covariance(L, "variances");
    sc_lua_refuse_in_finalizer(L, "variances");
    double *variance = new_doubles(L, "variances", c->units, 1);
    sc_error error;
    sc_lua_try(L, sc_covariance_variances(c, variance, &error), &error);
    push_list(L, variance, c->units);
    return 1;
}

/* covariance:matrix() -> list of rows, lists of numbers */
static int covariance_matrix(lua_State *L) {
    sc_covariance *c = check_covariance(L, "matrix");
    sc_lua_refuse_in_finalizer(L, "matrix");
    double *matrix = new_doubles(L, "matrix", c->units, c->units);
    sc_error error;
    sc_lua_try(L, sc_covariance_read(c, NULL, matrix, &error), &error);
    push_rows(L, matrix, c->units, c->units);
    return 1;
}

/* The numbers of a list at index, one per unit and none negative, in a userdata left on the stack. */
static double *check_weights(lua_State *L, int index, size_t units) {
    if (!lua_istable(L, index))
        sc_lua_expected(L, index, "redundancy", "weights", "a list of numbers");
    if (lua_rawlen(L, index) != units)
        sc_lua_fail(L, "redundancy: weights: expected %I numbers, one per unit, got %I", (LUAI_UACINT)units,
                    (LUAI_UACINT)lua_rawlen(L, index));
    double *weights = new_doubles(L, "redundancy", units, 1);
    for (size_t u = 0; u < units; u++) {
        lua_rawgeti(L, index, (lua_Integer)u + 1);
        weights[u] = sc_lua_check_number(L, -1, "redundancy", "weights");
        if (!(weights[u] >= 0 && isfinite(weights[u])))
            sc_lua_fail(L, "redundancy: weights: expected finite numbers of at least 0, got %f for unit %I", weights[u],
                        (LUAI_UACINT)u + 1);
        lua_pop(L, 1);
    }
    return weights;
}

/* covariance:redundancy(weights, ridge) -> list of units in the order of their removal, list of what each adds to the
 * loss; see prune/redundancy.h */
static int covariance_redundancy(lua_State *L) {
    sc_covariance *c = check_covariance(L, "redundancy");
    sc_lua_refuse_in_finalizer(L, "redundancy");
    double ridge = sc_lua_check_number(L, 3, "redundancy", "ridge");
    if (!(ridge > 0 && isfinite(ridge)))
        sc_lua_fail(L, "redundancy: ridge: expected a finite number above 0, got %f", ridge);
    double *weights = check_weights(L, 2, c->units), *costs = new_doubles(L, "redundancy", c->units, 1);
    double *matrix = new_doubles(L, "redundancy", c->units, c->units);
    size_t *order = lua_newuserdatauv(L, c->units * sizeof *order, 0);
    sc_error error;
    sc_interrupt_begin();
    sc_status status = sc_covariance_read(c, NULL, matrix, &error);
    if (status == SC_OK)
        status = sc_redundancy_find(&(sc_redundancy){.order = order, .cost = costs}, matrix, weights, c->units, ridge,
                                    &error);
    sc_interrupt_end();
    sc_lua_try_in(L, "redundancy", status, &error);
    lua_createtable(L, (int)c->units, 0);
    for (size_t i = 0; i < c->units; i++) {
        lua_pushinteger(L, (lua_Integer)order[i] + 1);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    push_list(L, costs, c->units);
    return 2;
}

static int covariance_tostring(lua_State *L) {
    sc_covariance *const *box = luaL_checkudata(L, 1, CLASS);
    if (!*box)
        lua_pushliteral(L, "Covariance (closed)");
    else
        lua_pushfstring(L, "Covariance of %I units, %I rows of %I images", (LUAI_UACINT)(*box)->units,
                        (LUAI_UACINT)(*box)->count, (LUAI_UACINT)(*box)->images);
    return 1;
}

static int covariance_finalize(lua_State *L) {
    sc_covariance **box = luaL_checkudata(L, 1, CLASS);
    sc_covariance_destroy(*box);
    *box = NULL;
    return 0;
}

/* gram(a [, b] [, across = false]) -> list of rows: a^T b for a [N x m], b [N x n]; across: a b^T, for a [m x N], b
 * [n x N]. Without b, of a with itself. */
static int gram(lua_State *L) {
    const sc_tensor *a = sc_lua_check_tensor_of(L, 1, "gram", "a", SC_REAL), *b = NULL;
    if (!lua_isnoneornil(L, 2))
        b = sc_lua_check_tensor_of(L, 2, "gram", "b", SC_REAL);
    bool across = sc_lua_check_flag(L, 3, "gram", "across", false);
    if (a->shape.ndim != 2 || (b && (b->shape.ndim != 2 || a->shape.size[across] != b->shape.size[across])))
        sc_lua_fail(L, "gram: expected matrices that share their %s", across ? "columns" : "rows");
    sc_gram sums = {
        .terms = a->shape.size[across],
        .m = a->shape.size[!across],
        .a = sc_tensor_real(a),
        .lda = a->shape.size[1],
        .across = across,
    };
    sums.n = sums.ld = sums.m;
    if (b) {
        sums.b = sc_tensor_real(b);
        sums.ldb = b->shape.size[1];
        sums.n = sums.ld = b->shape.size[!across];
    }
    sums.sum = new_doubles(L, "gram", sums.m, sums.n);
    for (size_t i = 0; i < sums.m * sums.n; i++)
        sums.sum[i] = 0;
    sc_error error;
    sc_interrupt_begin();
    sc_status status = sc_gram_add(&sums, &error);
    sc_interrupt_end();
    sc_lua_try(L, status, &error);
    push_rows(L, sums.sum, sums.m, sums.n);
    return 1;
}

void sc_lua_open_covariance(lua_State *L) {
    static const luaL_Reg functions[] = {{"covariance", covariance_create}, {"gram", gram}, {NULL, NULL}};
    static const luaL_Reg methods[] = {
        {"add", covariance_add},
        {"add_rows", covariance_add_rows},
        {"count", covariance_count},
        {"means", covariance_means},
        {"variances", covariance_variances},
        {"matrix", covariance_matrix},
        {"redundancy", covariance_redundancy},
        {"close", covariance_finalize},
        {"__tostring", covariance_tostring},
        {NULL, NULL},
    };
    luaL_setfuncs(L, functions, 0);
    sc_lua_new_class(L, CLASS, methods, covariance_finalize);
}
