#include "kernel/epilogue.h"

#include "base/inline.h"

#include <stdbool.h>

/* The steps of one number, or of a vector of them: what is not wanted is left out by the compiler, since the flags are
 * constants wherever this is inlined. */
typedef struct steps {
    bool bias, norm, residual, relu;
} steps;

typedef struct unit {
    sc_real bias, mean, scale, shift;
} unit;

SC_INLINE sc_real step(sc_real y, steps s, unit u, sc_real residual) {
    y = s.bias ? y + u.bias : y;
    y = s.norm ? (y - u.mean) * u.scale + u.shift : y;
    y = s.residual ? y + residual : y;
    return s.relu && y < 0 ? 0 : y; /* NaN stays NaN */
}

/* One pass over the outputs of one unit. */
SC_INLINE void run_unit(sc_real *restrict y, const sc_real *restrict residual, steps s, unit u, size_t count) {
    for (size_t i = 0; i < count; i++)
        y[i] = step(y[i], s, u, s.residual ? residual[i] : 0);
}

/* One pass over outputs that belong to a unit each. */
SC_INLINE void run_units(sc_real *restrict y, const sc_real *restrict residual, steps s, const sc_real *restrict bias,
                         const sc_real *restrict mean, const sc_real *restrict scale, const sc_real *restrict shift,
                         size_t count) {
    for (size_t i = 0; i < count; i++) {
        unit u = {s.bias ? bias[i] : 0, s.norm ? mean[i] : 0, s.norm ? scale[i] : 0, s.norm ? shift[i] : 0};
        y[i] = step(y[i], s, u, s.residual ? residual[i] : 0);
    }
}

/* Calls `run` with the flags as constants. */
/* clang-format off */
#define CHOOSE(code, run)                                                                                              \
    switch (code) {                                                                                                    \
    CASE(0, run) CASE(1, run) CASE(2, run) CASE(3, run) CASE(4, run) CASE(5, run) CASE(6, run) CASE(7, run)            \
    CASE(8, run) CASE(9, run) CASE(10, run) CASE(11, run) CASE(12, run) CASE(13, run) CASE(14, run) CASE(15, run)      \
    }
/* clang-format on */
#define CASE(code, run)                                                                                                \
    case code:                                                                                                         \
        run(((steps){((code)&1) != 0, ((code)&2) != 0, ((code)&4) != 0, ((code)&8) != 0}));                            \
        break;

static int code_of(const sc_epilogue *e) {
    return (e->bias ? 1 : 0) | (e->mean ? 2 : 0) | (e->residual ? 4 : 0) |
           (e->activation == SC_ACTIVATION_RELU ? 8 : 0);
}

static void activate(sc_real *y, const sc_epilogue *e, size_t count) {
    if (e->activation != SC_ACTIVATION_NONE && e->activation != SC_ACTIVATION_RELU)
        sc_activation_apply(e->activation, y, y, count);
}

void sc_epilogue_apply(sc_real *y, const sc_epilogue *e, size_t unit_index, size_t offset, size_t count) {
    const sc_real *residual = e->residual ? e->residual + offset : NULL;
    unit u = {e->bias ? e->bias[unit_index] : 0, 0, 0, 0};
    if (e->mean)
        u = (unit){u.bias, e->mean[unit_index], e->scale[unit_index], e->shift[unit_index]};
#define RUN(s) run_unit(y, residual, s, u, count)
    CHOOSE(code_of(e), RUN)
#undef RUN
    activate(y, e, count);
}

void sc_epilogue_apply_units(sc_real *y, const sc_epilogue *e, size_t first_unit, size_t offset, size_t count) {
    const sc_real *residual = e->residual ? e->residual + offset : NULL;
    const sc_real *bias = e->bias ? e->bias + first_unit : NULL, *mean = e->mean ? e->mean + first_unit : NULL;
    const sc_real *scale = e->mean ? e->scale + first_unit : NULL, *shift = e->mean ? e->shift + first_unit : NULL;
#define RUN(s) run_units(y, residual, s, bias, mean, scale, shift, count)
    CHOOSE(code_of(e), RUN)
#undef RUN
    activate(y, e, count);
}
