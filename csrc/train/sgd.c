#include "train/optimiser.h"

enum { CHUNK = 16384 };

/* The constants of one step, rounded once. */
typedef struct rates {
    sc_real grad_scale, decay, momentum, lr;
    sc_real now, sum; /* how much of the gradient and of its sum a step takes: 0 and 1, or 1 and momentum (Nesterov) */
} rates;

static void update(sc_real *restrict x, sc_real *restrict sum, const sc_real *restrict grad, size_t n, const rates *r) {
    const rates c = *r;
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        const sc_real g = c.grad_scale * grad[i] + c.decay * x[i];
        sum[i] = c.momentum * sum[i] + g;
        x[i] -= c.lr * (c.now * g + c.sum * sum[i]);
    }
}

static void update_plain(sc_real *restrict x, const sc_real *restrict grad, size_t n, const rates *r) {
    const rates c = *r;
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        x[i] -= c.lr * (c.grad_scale * grad[i] + c.decay * x[i]);
}

static int state_count(const sc_optimiser_options *options) {
    return options->momentum > 0;
}

/* g = grad + weight_decay * x; b = momentum * b + g; x -= lr * b, or lr * (g + momentum * b) for Nesterov's. The sum
 * starts as 0, and so is g after the first step, as PyTorch's. */
static void sgd(sc_real *x, sc_real *const *state, const sc_real *grad, size_t n, const sc_optimiser_options *options,
                const sc_step_params *params) {
    const rates r = {
        .grad_scale = (sc_real)params->grad_scale,
        .decay = (sc_real)params->weight_decay,
        .momentum = (sc_real)options->momentum,
        .lr = (sc_real)params->lr,
        .now = options->nesterov ? 1 : 0,
        .sum = options->nesterov ? (sc_real)options->momentum : 1,
    };
    sc_real *sum = state_count(options) ? state[0] : NULL;
#pragma omp parallel for schedule(static) if (n > CHUNK)
    for (size_t first = 0; first < n; first += CHUNK) {
        size_t count = n - first < CHUNK ? n - first : CHUNK;
        if (sum)
            update(x + first, sum + first, grad + first, count, &r);
        else
            update_plain(x + first, grad + first, count, &r);
    }
}

const sc_optimiser_kind sc_optimiser_sgd = {
    .name = "sgd", .state_names = {"momentum"}, .state_count = state_count, .update = sgd};
