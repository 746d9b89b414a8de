/* The module `spec.vecmath_LEVEL`, for spec/kernel/vecmath_spec.lua: errors and bits of the functions of
 * csrc/kernel/vecmath.h in float, compiled for that level of vector instructions as the core is. */
#include "kernel/vecmath.h"

#include <float.h>
#include <lauxlib.h>
#include <lua.h>

enum { BLOCK = 1024 };

typedef void run_block(float *y, const float *x);

/* The exact value, with the error of libm's in double, and how large its largest term is, in units of which errors are
 * counted. */
typedef struct exact {
    double value, size;
} exact;

typedef struct subject {
    const char *name;
    run_block *run;
    exact (*reference)(double x);
} subject;

static exact sum_of(double a, double b) {
    return (exact){a + b, fmax(fabs(a + b), fmax(fabs(a), fabs(b)))};
}

static exact one_of(double a) {
    return (exact){a, fabs(a)};
}

static double cdf_of(double x) {
    return 0.5 * erfc(x * -0.70710678118654752440);
}

static double density_of(double x) {
    return exp(-0.5 * x * x) * 0.39894228040143267794;
}

static double sigmoid_of(double x) {
    return 1 / (1 + exp(-x));
}

/* 2u of the approximation of GELU by tanh(u). */
static double twice_of(double x) {
    return 1.5957691216057308 * (x + 0.044715 * x * x * x);
}

/* f(x) + x g(x), where g is 0 at both infinities before x counts, and f bounded. */
static exact slope_of(double x, double f, double g) {
    return sum_of(f, isinf(x) ? 0 : x * g);
}

/* x f(x), where f falls to 0 before minus infinity counts. */
static exact gated_of(double x, double f) {
    return one_of(isinf(x) && x < 0 ? -0.0 : x * f);
}

static float normal_cdf(float x) {
    float density;
    return sc_normal_cdf(x, &density);
}

static float normal_density(float x) {
    float density;
    sc_normal_cdf(x, &density);
    return density;
}

/* NAME(function): its run over a block, and the head of its reference. */
#define SUBJECT(name, function)                                                                                        \
    static void name##_run(float *y, const float *x) {                                                                 \
        _Pragma("omp simd") for (int i = 0; i < BLOCK; i++) y[i] = function(x[i]);                                     \
    }                                                                                                                  \
    static exact name##_reference(double x)

SUBJECT(exp, sc_exp) {
    return one_of(exp(x));
}

SUBJECT(tanh, sc_tanh) {
    return one_of(tanh(x));
}

SUBJECT(sigmoid, sc_sigmoid) {
    return one_of(sigmoid_of(x));
}

SUBJECT(silu, sc_silu) {
    return gated_of(x, sigmoid_of(x));
}

SUBJECT(silu_slope, sc_silu_slope) {
    return slope_of(x, sigmoid_of(x), sigmoid_of(x) * sigmoid_of(-x));
}

SUBJECT(normal_cdf, normal_cdf) {
    return one_of(cdf_of(x));
}

SUBJECT(normal_density, normal_density) {
    return one_of(density_of(x));
}

SUBJECT(gelu, sc_gelu) {
    return gated_of(x, cdf_of(x));
}

SUBJECT(gelu_slope, sc_gelu_slope) {
    return slope_of(x, cdf_of(x), density_of(x));
}

SUBJECT(gelu_tanh, sc_gelu_tanh) {
    return gated_of(x, sigmoid_of(twice_of(x)));
}

SUBJECT(gelu_tanh_slope, sc_gelu_tanh_slope) {
    double u = twice_of(x), rise = 1.5957691216057308 * (1 + 0.134145 * x * x);
    return slope_of(x, sigmoid_of(u), sigmoid_of(u) * sigmoid_of(-u) * (fabs(x) > 100 ? 0 : rise));
}

#define ROW(name)                                                                                                      \
    { #name, name##_run, name##_reference }
static const subject subjects[] = {
    ROW(exp),        ROW(tanh),       ROW(sigmoid),         ROW(silu),
    ROW(silu_slope), ROW(normal_cdf), ROW(normal_density),  ROW(gelu),
    ROW(gelu_slope), ROW(gelu_tanh),  ROW(gelu_tanh_slope),
};
enum { SUBJECTS = sizeof subjects / sizeof subjects[0] };

static uint32_t bits_of(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* Patterns first, first + step, ... below 2^32; the last block is filled up with the last. */
static void fill(float *x, uint64_t first, uint64_t step) {
    for (uint64_t i = 0; i < BLOCK; i++) {
        uint64_t at = first + i * step;
        uint32_t bits = (uint32_t)(at <= UINT32_MAX ? at : UINT32_MAX);
        memcpy(&x[i], &bits, sizeof bits);
    }
}

static double within(double x, double limit) {
    x = x > limit ? limit : x;
    return x < -limit ? -limit : x;
}

/* Of a normal float of that size, or of the smallest and greatest. */
static double unit_in_the_last_place(double size) {
    uint64_t bits;
    memcpy(&bits, &size, sizeof bits);
    bits &= 0x7ff0000000000000u;
    memcpy(&size, &bits, sizeof bits);
    size = size < 0x1p-126 ? 0x1p-126 : size;
    return (size > 0x1p127 ? 0x1p127 : size) * 0x1p-23;
}

/* In units in the last place of the largest term; infinite where NaN or the sign of zero is wrong. Infinity counts as
 * 2^128, as does what lies above. */
static double error_of(double y, double value, double size) {
    double error = fabs(within(y, 0x1p128) - within(value, 0x1p128)) / unit_in_the_last_place(size);
    error = y == 0 && value == 0 && copysign(1, y) != copysign(1, value) ? HUGE_VAL : error;
    double bad = (y != y) == (value != value) ? 0 : HUGE_VAL;
    return y != y || value != value ? bad : error;
}

/* The largest error over a block; *where gets one of its numbers where that is. */
static double block_error(const subject *s, const float *x, float *where) {
    float y[BLOCK];
    double value[BLOCK], size[BLOCK], largest = -1;
    s->run(y, x);
    for (int i = 0; i < BLOCK; i++) {
        exact e = s->reference((double)x[i]);
        value[i] = e.value, size[i] = e.size;
    }
#pragma omp simd
    for (int i = 0; i < BLOCK; i++)
        value[i] = error_of((double)y[i], value[i], size[i]);
    for (int i = 0; i < BLOCK; i++) {
        *where = value[i] > largest ? x[i] : *where;
        largest = value[i] > largest ? value[i] : largest;
    }
    return largest;
}

/* error(index, step) -> the largest error over every step-th of all floats and the ends of their range, one of those
 * where it is */
static int error(lua_State *L) {
    const subject *s = &subjects[luaL_checkinteger(L, 1) - 1];
    const uint64_t step = (uint64_t)luaL_checkinteger(L, 2);
    const float ends[BLOCK] = {0, -0.0f, 0x1p-149f, -0x1p-149f, FLT_MAX, -FLT_MAX, HUGE_VALF, -HUGE_VALF, NAN};
    float where = 0;
    double worst = block_error(s, ends, &where);
#pragma omp parallel for schedule(dynamic, 16)
    for (uint64_t first = 0; first <= UINT32_MAX; first += step * BLOCK) {
        float x[BLOCK], at = 0;
        fill(x, first, step);
        double largest = block_error(s, x, &at);
#pragma omp critical
        if (largest > worst || (largest == worst && bits_of(at) < bits_of(where)))
            worst = largest, where = at;
    }
    lua_pushnumber(L, worst);
    lua_pushnumber(L, (double)where);
    return 2;
}

/* checksum(index, step) -> an integer made of the bits of the results; all NaN count alike */
static int checksum(lua_State *L) {
    const subject *s = &subjects[luaL_checkinteger(L, 1) - 1];
    const uint64_t step = (uint64_t)luaL_checkinteger(L, 2);
    uint64_t sum = 0;
#pragma omp parallel for schedule(dynamic, 16) reduction(+ : sum)
    for (uint64_t first = 0; first <= UINT32_MAX; first += step * BLOCK) {
        float x[BLOCK], y[BLOCK];
        fill(x, first, step);
        s->run(y, x);
        uint64_t hash = 0xcbf29ce484222325u ^ first; /* FNV-1a by words */
        for (int i = 0; i < BLOCK; i++)
            hash = (hash ^ (y[i] != y[i] ? 0x7fc00000u : bits_of(y[i]))) * 0x100000001b3u;
        sum += hash ^ hash >> 32;
    }
    lua_pushinteger(L, (lua_Integer)sum);
    return 1;
}

#define JOIN(a, b) a##b
#define OPEN_NAME(level) JOIN(luaopen_spec_vecmath_, level)
#define OPEN OPEN_NAME(SC_VARIANT)

__attribute__((visibility("default"))) int OPEN(lua_State *L);

/* { error = function, checksum = function, names = { name, ... } }; the functions take the index of a name */
int OPEN(lua_State *L) {
    static const luaL_Reg functions[] = {{"error", error}, {"checksum", checksum}, {NULL, NULL}};
    luaL_newlib(L, functions);
    lua_newtable(L);
    for (int i = 0; i < SUBJECTS; i++) {
        lua_pushstring(L, subjects[i].name);
        lua_rawseti(L, -2, i + 1);
    }
    lua_setfield(L, -2, "names");
    return 1;
}
