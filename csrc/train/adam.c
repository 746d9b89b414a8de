#include "base/math64.h"
#include "train/optimiser.h"

#include <math.h>

#ifdef SC_REAL_IS_DOUBLE
#define ROOT sqrt
#else
#define ROOT sqrtf
#endif

enum { CHUNK = 16384 };

/* The constants of one step, rounded once. */
typedef struct rates {
    sc_real grad_scale;
    sc_real new1, beta2, new2, eps;
    sc_real decay; /* times x, added to the gradient */
    sc_real keep;  /* times x, before the step */
    sc_real step;  /* lr / (1 - beta1^t) */
    sc_real scale; /* 1 / sqrt(1 - beta2^t) */
} rates;

static void update(sc_real *restrict x, sc_real *restrict m, sc_real *restrict v, const sc_real *restrict grad,
                   size_t n, const rates *r) {
    const rates c = *r;
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        const sc_real g = c.grad_scale * grad[i] + c.decay * x[i];
        m[i] += c.new1 * (g - m[i]);
        v[i] = c.beta2 * v[i] + c.new2 * (g * g);
        x[i] = c.keep * x[i] - c.step * (m[i] / (ROOT(v[i]) * c.scale + c.eps));
    }
}

static void step(sc_real *x, sc_real *const *state, const sc_real *grad, size_t n, const sc_optimiser_options *options,
                 const sc_step_params *params, double decay, double keep) {
    const rates r = {
        .grad_scale = (sc_real)params->grad_scale,
        .new1 = (sc_real)(1 - options->beta1),
        .beta2 = (sc_real)options->beta2,
        .new2 = (sc_real)(1 - options->beta2),
        .eps = (sc_real)options->eps,
        .decay = (sc_real)decay,
        .keep = (sc_real)keep,
        .step = (sc_real)(params->lr / (1 - sc_pow64(options->beta1, (double)params->step))),
        .scale = (sc_real)(1 / sqrt(1 - sc_pow64(options->beta2, (double)params->step))),
    };
    sc_real *m = state[0], *v = state[1];
#pragma omp parallel for schedule(static) if (n > CHUNK)
    for (size_t first = 0; first < n; first += CHUNK)
        update(x + first, m + first, v + first, grad + first, n - first < CHUNK ? n - first : CHUNK, &r);
}

static int state_count(const sc_optimiser_options *options) {
    (void)options;
    return 2;
}

/* g = grad + weight_decay * x; m += (1 - beta1) (g - m); v = beta2 v + (1 - beta2) g^2;
 * x -= lr / (1 - beta1^t) * m / (sqrt(v / (1 - beta2^t)) + eps) */
static void adam(sc_real *x, sc_real *const *state, const sc_real *grad, size_t n, const sc_optimiser_options *options,
                 const sc_step_params *params) {
    step(x, state, grad, n, options, params, params->weight_decay, 1);
}

/* x *= 1 - lr * weight_decay, then the same without weight decay. */
static void adamw(sc_real *x, sc_real *const *state, const sc_real *grad, size_t n, const sc_optimiser_options *options,
                  const sc_step_params *params) {
    step(x, state, grad, n, options, params, 0, 1 - params->lr * params->weight_decay);
}

const sc_optimiser_kind sc_optimiser_adam = {
    .name = "adam", .state_names = {"m", "v"}, .state_count = state_count, .update = adam};
const sc_optimiser_kind sc_optimiser_adamw = {
    .name = "adamw", .state_names = {"m", "v"}, .state_count = state_count, .update = adamw};
