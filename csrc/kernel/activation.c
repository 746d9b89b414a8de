#include "kernel/activation.h"

#include "kernel/vecmath.h"

enum { CHUNK = 16384 }; /* elements; small enough for the second-level cache, large enough to pay a thread */

typedef void forward_run(sc_real *y, const sc_real *x, size_t n);
typedef void backward_run(sc_real *dx, const sc_real *source, const sc_real *dy, size_t n);

static size_t chunk_at(size_t first, size_t n) {
    return n - first < CHUNK ? n - first : CHUNK;
}

static void forward_chunks(forward_run *run, sc_real *y, const sc_real *x, size_t n) {
#pragma omp parallel for schedule(static) if (n > CHUNK)
    for (size_t first = 0; first < n; first += CHUNK)
        run(y + first, x + first, chunk_at(first, n));
}

static void backward_chunks(backward_run *run, sc_real *dx, const sc_real *source, const sc_real *dy, size_t n) {
#pragma omp parallel for schedule(static) if (n > CHUNK)
    for (size_t first = 0; first < n; first += CHUNK)
        run(dx + first, source + first, dy + first, chunk_at(first, n));
}

SC_INLINE sc_real sc_relu(sc_real x) {
    return x < 0 ? 0 : x;
}

/* What is added to dx, of y or x and of dy. */
SC_INLINE sc_real relu_back(sc_real y, sc_real dy) {
    return y > 0 ? dy : 0;
}

SC_INLINE sc_real sigmoid_back(sc_real y, sc_real dy) {
    return dy * (y * (1 - y));
}

/* 1 - y^2 would cancel where y is near 1. */
SC_INLINE sc_real tanh_back(sc_real y, sc_real dy) {
    return dy * ((1 - y) * (1 + y));
}

SC_INLINE sc_real silu_back(sc_real x, sc_real dy) {
    return dy * sc_silu_slope(x);
}

SC_INLINE sc_real gelu_back(sc_real x, sc_real dy) {
    return dy * sc_gelu_slope(x);
}

SC_INLINE sc_real gelu_tanh_back(sc_real x, sc_real dy) {
    return dy * sc_gelu_tanh_slope(x);
}

/* `omp simd` says that equal pointers are no hindrance. */
#define FORWARD(name)                                                                                                  \
    static void name##_forward(sc_real *y, const sc_real *x, size_t n) {                                               \
        _Pragma("omp simd") for (size_t i = 0; i < n; i++) y[i] = sc_##name(x[i]);                                     \
    }

#define BACKWARD(name)                                                                                                 \
    static void name##_backward(sc_real *dx, const sc_real *source, const sc_real *dy, size_t n) {                     \
        _Pragma("omp simd") for (size_t i = 0; i < n; i++) dx[i] += name##_back(source[i], dy[i]);                     \
    }

FORWARD(relu)
BACKWARD(relu)
FORWARD(sigmoid)
BACKWARD(sigmoid)
FORWARD(tanh)
BACKWARD(tanh)
FORWARD(silu)
BACKWARD(silu)
FORWARD(gelu)
BACKWARD(gelu)
FORWARD(gelu_tanh)
BACKWARD(gelu_tanh)

static void identity_forward(sc_real *y, const sc_real *x, size_t n) {
    if (y != x)
        memcpy(y, x, n * sizeof *y);
}

static forward_run *const forward_runs[] = {
    [SC_ACTIVATION_NONE] = identity_forward,       [SC_ACTIVATION_RELU] = relu_forward,
    [SC_ACTIVATION_SIGMOID] = sigmoid_forward,     [SC_ACTIVATION_TANH] = tanh_forward,
    [SC_ACTIVATION_SILU] = silu_forward,           [SC_ACTIVATION_GELU] = gelu_forward,
    [SC_ACTIVATION_GELU_TANH] = gelu_tanh_forward,
};

static backward_run *const backward_runs[] = {
    [SC_ACTIVATION_RELU] = relu_backward, [SC_ACTIVATION_SIGMOID] = sigmoid_backward,
    [SC_ACTIVATION_TANH] = tanh_backward, [SC_ACTIVATION_SILU] = silu_backward,
    [SC_ACTIVATION_GELU] = gelu_backward, [SC_ACTIVATION_GELU_TANH] = gelu_tanh_backward,
};

void sc_activation_forward(sc_activation activation, sc_real *y, const sc_real *x, size_t n) {
    forward_chunks(forward_runs[activation], y, x, n);
}

void sc_activation_apply(sc_activation activation, sc_real *y, const sc_real *x, size_t n) {
    forward_runs[activation](y, x, n);
}

bool sc_activation_needs_output(sc_activation activation) {
    return activation == SC_ACTIVATION_RELU || activation == SC_ACTIVATION_SIGMOID || activation == SC_ACTIVATION_TANH;
}

void sc_activation_backward(sc_activation activation, sc_real *dx, const sc_real *x_or_y, const sc_real *dy, size_t n) {
    backward_chunks(backward_runs[activation], dx, x_or_y, dy, n);
}

/* ---- ReLU's own ---- */

static void relu_backward_write(sc_real *dx, const sc_real *y, const sc_real *dy, size_t n) {
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        dx[i] = relu_back(y[i], dy[i]);
}

void sc_relu_backward_write(sc_real *dx, const sc_real *y, const sc_real *dy, size_t n) {
    backward_chunks(relu_backward_write, dx, y, dy, n);
}

static void relu_guided_backward(sc_real *dx, const sc_real *y, const sc_real *dy, size_t n) {
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        dx[i] += y[i] > 0 && dy[i] > 0 ? dy[i] : 0;
}

void sc_relu_guided_backward(sc_real *dx, const sc_real *y, const sc_real *dy, size_t n) {
    backward_chunks(relu_guided_backward, dx, y, dy, n);
}
