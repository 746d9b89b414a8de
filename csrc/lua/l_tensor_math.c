/* Arithmetic of the class Tensor: new tensors, operands untouched. */
#include "base/math64.h"
#include "kernel/gemm.h"
#include "lua/l_tensor.h"
#include "lua/support.h"
#include "tensor/math.h"

#include <limits.h>
#include <math.h>

static sc_tensor *check_real(lua_State *L, int index, const char *method) {
    return sc_lua_check_tensor_of(L, index, method, index == 1 ? "self" : "other", SC_REAL);
}

/* A number at index becomes a scalar tensor there. */
static sc_tensor *check_operand(lua_State *L, int index, const char *method) {
    if (lua_type(L, index) != LUA_TNUMBER)
        return check_real(L, index, method);
    sc_shape scalar = {0};
    sc_tensor *tensor;
    sc_real value = (sc_real)lua_tonumber(L, index);
    sc_lua_push_new(L, SC_REAL, &scalar, false, &tensor);
    lua_replace(L, index);
    sc_tensor_real(tensor)[0] = value;
    return tensor;
}

static int apply_binary(lua_State *L, sc_binary_op op, const char *method) {
    sc_error error;
    lua_settop(L, 2);
    sc_tensor *a = check_operand(L, 1, method), *b = check_operand(L, 2, method);
    sc_tensor *out = sc_lua_new_tensor(L);
    sc_lua_try_in(L, method, sc_tensor_binary(out, op, a, b, &error), &error);
    return 1;
}

static int tensor_add(lua_State *L) {
    return apply_binary(L, SC_ADD, "add");
}

static int tensor_sub(lua_State *L) {
    return apply_binary(L, SC_SUBTRACT, "sub");
}

static int tensor_mul(lua_State *L) {
    return apply_binary(L, SC_MULTIPLY, "mul");
}

static int tensor_div(lua_State *L) {
    return apply_binary(L, SC_DIVIDE, "div");
}

static int tensor_unm(lua_State *L) {
    lua_settop(L, 1);
    lua_pushnumber(L, -1);
    return apply_binary(L, SC_MULTIPLY, "unm");
}

static int tensor_abs(lua_State *L) {
    sc_tensor *x = check_real(L, 1, "abs"), *out;
    sc_lua_push_new(L, SC_REAL, &x->shape, false, &out);
    for (size_t i = 0; i < sc_tensor_numel(x); i++) {
        sc_real value = sc_tensor_real(x)[i];
        sc_tensor_real(out)[i] = value < 0 ? -value : value;
    }
    return 1;
}

/* log(), exp(), sqrt(): of every element. */
static int apply_unary(lua_State *L, double (*function)(double), const char *method) {
    sc_tensor *x = check_real(L, 1, method), *out;
    sc_lua_push_new(L, SC_REAL, &x->shape, false, &out);
    for (size_t i = 0; i < sc_tensor_numel(x); i++)
        sc_tensor_real(out)[i] = (sc_real)function((double)sc_tensor_real(x)[i]);
    return 1;
}

static int tensor_log(lua_State *L) {
    return apply_unary(L, sc_log64, "log");
}

static int tensor_exp(lua_State *L) {
    return apply_unary(L, sc_exp64, "exp");
}

static int tensor_sqrt(lua_State *L) {
    return apply_unary(L, sqrt, "sqrt");
}

/* clamp(low, high); either may be nil. NaN stays NaN. */
static int tensor_clamp(lua_State *L) {
    sc_tensor *x = check_real(L, 1, "clamp"), *out;
    double low = lua_isnoneornil(L, 2) ? -INFINITY : sc_lua_check_number(L, 2, "clamp", "low");
    double high = lua_isnoneornil(L, 3) ? INFINITY : sc_lua_check_number(L, 3, "clamp", "high");
    sc_lua_push_new(L, SC_REAL, &x->shape, false, &out);
    for (size_t i = 0; i < sc_tensor_numel(x); i++) {
        double value = (double)sc_tensor_real(x)[i];
        sc_tensor_real(out)[i] = (sc_real)(value < low ? low : value > high ? high : value);
    }
    return 1;
}

static int reduce(lua_State *L, sc_reduction kind, const char *method) {
    sc_tensor *x = check_real(L, 1, method);
    sc_error error;
    if (lua_isnoneornil(L, 2))
        return lua_pushnumber(L, sc_tensor_reduce_all(kind, x)), 1;
    int dimension = (int)sc_lua_check_integer(L, 2, method, "dimension", 1, x->shape.ndim);
    sc_lua_try(L, sc_tensor_reduce(sc_lua_new_tensor(L), kind, x, dimension - 1, &error), &error);
    return 1;
}

static int tensor_sum(lua_State *L) {
    return reduce(L, SC_SUM, "sum");
}

static int tensor_mean(lua_State *L) {
    return reduce(L, SC_MEAN, "mean");
}

static int tensor_max(lua_State *L) {
    return reduce(L, SC_MAX, "max");
}

static int tensor_argmax(lua_State *L) {
    sc_tensor *x = check_real(L, 1, "argmax");
    sc_error error;
    int dimension = (int)sc_lua_check_integer(L, 2, "argmax", "dimension", 1, x->shape.ndim);
    sc_lua_try(L, sc_tensor_argmax(sc_lua_new_tensor(L), x, dimension - 1, &error), &error);
    return 1;
}

/* The matrices at stack slots 1 and 2, and a new one [m x n] on top of the stack for their product. */
static sc_tensor *check_product(lua_State *L, const char *function, sc_tensor **a, sc_tensor **b) {
    char left[SC_SHAPE_TEXT], right[SC_SHAPE_TEXT];
    *a = check_real(L, 1, function);
    *b = check_real(L, 2, function);
    const size_t *m = (*a)->shape.size, *n = (*b)->shape.size;
    if ((*a)->shape.ndim != 2 || (*b)->shape.ndim != 2 || m[1] != n[0] || m[0] > INT_MAX || m[1] > INT_MAX ||
        n[1] > INT_MAX)
        sc_lua_fail(L, "%s: expected matrices [m x k] and [k x n], got %s and %s", function,
                    sc_shape_format(left, &(*a)->shape), sc_shape_format(right, &(*b)->shape));
    sc_shape shape = {2, {m[0], n[1]}};
    sc_error error;
    sc_tensor *out;
    sc_lua_try(L, sc_shape_init(&shape, 2, (size_t[2]){m[0], n[1]}, &error), &error);
    sc_lua_push_new(L, SC_REAL, &shape, true, &out);
    return out;
}

/* [m x k] times [k x n] -> [m x n] */
static int tensor_matmul(lua_State *L) {
    sc_tensor *a, *b, *scratch, *out = check_product(L, "matmul", &a, &b);
    sc_shape scratch_shape = {1, {sc_product_scratch() / sizeof(sc_real)}};
    sc_lua_push_new(L, SC_REAL, &scratch_shape, false, &scratch); /* a tensor, so that Lua frees it whatever happens */
    size_t m = a->shape.size[0], n = b->shape.size[1], k = a->shape.size[1];
    sc_gemm_run(&(sc_gemm){.m = m,
                           .n = n,
                           .k = k,
                           .a = {sc_tensor_real(a), k, SC_PLAIN},
                           .b = {sc_tensor_real(b), n, SC_PLAIN},
                           .c = sc_tensor_real(out),
                           .ldc = n,
                           .scratch = sc_tensor_real(scratch)});
    sc_tensor_release(scratch);
    lua_pop(L, 1);
    return 1;
}

/* allclose(other [, rtol = 1e-5 [, atol = 1e-8]]): |a - b| <= atol + rtol |b| everywhere; NaN is close to nothing,
 * infinity to itself. */
static int tensor_allclose(lua_State *L) {
    sc_tensor *a = check_real(L, 1, "allclose"), *b = check_real(L, 2, "allclose");
    double rtol = lua_isnoneornil(L, 3) ? 1e-5 : sc_lua_check_number(L, 3, "allclose", "rtol");
    double atol = lua_isnoneornil(L, 4) ? 1e-8 : sc_lua_check_number(L, 4, "allclose", "atol");
    bool close = sc_shape_equal(&a->shape, &b->shape);
    for (size_t i = 0; close && i < sc_tensor_numel(a); i++) {
        double x = (double)sc_tensor_real(a)[i], y = (double)sc_tensor_real(b)[i];
        close = x == y || (isfinite(y) && fabs(x - y) <= atol + rtol * fabs(y));
    }
    lua_pushboolean(L, close);
    return 1;
}

void sc_lua_add_tensor_math(lua_State *L) {
    static const luaL_Reg methods[] = {
        {"add", tensor_add},       {"sub", tensor_sub},           {"mul", tensor_mul},
        {"div", tensor_div},       {"abs", tensor_abs},           {"clamp", tensor_clamp},
        {"sum", tensor_sum},       {"mean", tensor_mean},         {"max", tensor_max},
        {"argmax", tensor_argmax}, {"matmul", tensor_matmul},     {"__add", tensor_add},
        {"__sub", tensor_sub},     {"__mul", tensor_mul},         {"__div", tensor_div},
        {"__unm", tensor_unm},     {"allclose", tensor_allclose}, {"log", tensor_log},
        {"exp", tensor_exp},       {"sqrt", tensor_sqrt},         {NULL, NULL},
    };
    luaL_setfuncs(L, methods, 0);
}
