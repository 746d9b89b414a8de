#include "kernel/epilogue.h"

static void add(sc_real *restrict y, const sc_real *restrict x, size_t count) {
    for (size_t i = 0; i < count; i++)
        y[i] += x[i];
}

static void add_one(sc_real *y, sc_real x, size_t count) {
    for (size_t i = 0; i < count; i++)
        y[i] += x;
}

static void norm_one(sc_real *y, sc_real mean, sc_real scale, sc_real shift, size_t count) {
    for (size_t i = 0; i < count; i++)
        y[i] = (y[i] - mean) * scale + shift;
}

static void norm(sc_real *restrict y, const sc_real *restrict mean, const sc_real *restrict scale,
                 const sc_real *restrict shift, size_t count) {
    for (size_t i = 0; i < count; i++)
        y[i] = (y[i] - mean[i]) * scale[i] + shift[i];
}

static void finish(sc_real *y, const sc_epilogue *e, size_t offset, size_t count) {
    if (e->residual)
        add(y, e->residual + offset, count);
    if (e->activation != SC_ACTIVATION_NONE)
        sc_activation_apply(e->activation, y, y, count);
}

void sc_epilogue_apply(sc_real *y, const sc_epilogue *e, size_t unit, size_t offset, size_t count) {
    if (e->bias)
        add_one(y, e->bias[unit], count);
    if (e->mean)
        norm_one(y, e->mean[unit], e->scale[unit], e->shift[unit], count);
    finish(y, e, offset, count);
}

void sc_epilogue_apply_units(sc_real *y, const sc_epilogue *e, size_t first_unit, size_t offset, size_t count) {
    if (e->bias)
        add(y, e->bias + first_unit, count);
    if (e->mean)
        norm(y, e->mean + first_unit, e->scale + first_unit, e->shift + first_unit, count);
    finish(y, e, offset, count);
}
