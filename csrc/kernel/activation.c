#include "kernel/activation.h"

#include "kernel/elementary.h"

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

/* `omp simd` says that equal pointers are no hindrance. */
#define FORWARD(name)                                                                                                  \
    static void name##_forward(sc_real *y, const sc_real *x, size_t n) {                                               \
        _Pragma("omp simd") for (size_t i = 0; i < n; i++) y[i] = name(x[i]);                                          \
    }                                                                                                                  \
    void sc_##name##_forward(sc_real *y, const sc_real *x, size_t n) {                                                 \
        forward_chunks(name##_forward, y, x, n);                                                                       \
    }

#define BACKWARD(name)                                                                                                 \
    static void name##_backward(sc_real *dx, const sc_real *source, const sc_real *dy, size_t n) {                     \
        _Pragma("omp simd") for (size_t i = 0; i < n; i++) dx[i] += name##_slope(source[i], dy[i]);                    \
    }                                                                                                                  \
    void sc_##name##_backward(sc_real *dx, const sc_real *source, const sc_real *dy, size_t n) {                       \
        backward_chunks(name##_backward, dx, source, dy, n);                                                           \
    }

SC_INLINE sc_real relu(sc_real x) {
    return x < 0 ? 0 : x;
}

SC_INLINE sc_real relu_slope(sc_real y, sc_real dy) {
    return y > 0 ? dy : 0;
}

SC_INLINE sc_real sigmoid(sc_real x) {
    return sc_logistic(x);
}

SC_INLINE sc_real sigmoid_slope(sc_real y, sc_real dy) {
    return dy * y * (1 - y);
}

SC_INLINE sc_real tanh_slope(sc_real y, sc_real dy) {
    return dy * (1 - y * y);
}

SC_INLINE sc_real silu(sc_real x) {
    return x * sc_logistic(x);
}

SC_INLINE sc_real silu_slope(sc_real x, sc_real dy) {
    sc_real s = sc_logistic(x);
    return dy * (s + x * s * (1 - s));
}

SC_INLINE sc_real gelu(sc_real x) {
    sc_real density;
    return x * sc_normal(x, &density);
}

SC_INLINE sc_real gelu_slope(sc_real x, sc_real dy) {
    sc_real density;
    sc_real phi = sc_normal(x, &density);
    return dy * (phi + x * density);
}

/* (1 + tanh(u)) / 2 is the logistic function of 2u, which loses nothing where tanh is near -1. */
SC_INLINE sc_real gelu_tanh_gate(sc_real x) {
    return sc_logistic((sc_real)1.5957691216057308 * (x + (sc_real)0.044715 * x * x * x));
}

SC_INLINE sc_real gelu_tanh(sc_real x) {
    return x * gelu_tanh_gate(x);
}

SC_INLINE sc_real gelu_tanh_slope(sc_real x, sc_real dy) {
    sc_real s = gelu_tanh_gate(x);
    sc_real inner = (sc_real)1.5957691216057308 * (1 + (sc_real)0.134145 * x * x);
    return dy * (s + x * s * (1 - s) * inner);
}

FORWARD(relu)
BACKWARD(relu)

static void relu_backward_fresh(sc_real *dx, const sc_real *y, const sc_real *dy, size_t n) {
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        dx[i] = relu_slope(y[i], dy[i]);
}

void sc_relu_backward_fresh(sc_real *dx, const sc_real *y, const sc_real *dy, size_t n) {
    backward_chunks(relu_backward_fresh, dx, y, dy, n);
}

static void relu_guided(sc_real *dx, const sc_real *y, const sc_real *dy, size_t n) {
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        dx[i] += y[i] > 0 && dy[i] > 0 ? dy[i] : 0;
}

void sc_relu_guided(sc_real *dx, const sc_real *y, const sc_real *dy, size_t n) {
    backward_chunks(relu_guided, dx, y, dy, n);
}
FORWARD(sigmoid)
BACKWARD(sigmoid)
FORWARD(silu)
BACKWARD(silu)
FORWARD(gelu)
BACKWARD(gelu)
FORWARD(gelu_tanh)
BACKWARD(gelu_tanh)

static void tanh_forward(sc_real *y, const sc_real *x, size_t n) {
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        y[i] = sc_tanh(x[i]);
}

void sc_tanh_forward(sc_real *y, const sc_real *x, size_t n) {
    forward_chunks(tanh_forward, y, x, n);
}
BACKWARD(tanh)

void sc_activation_apply(sc_activation activation, sc_real *y, const sc_real *x, size_t n) {
    static forward_run *const runs[] = {
        [SC_ACTIVATION_RELU] = relu_forward, [SC_ACTIVATION_SIGMOID] = sigmoid_forward,
        [SC_ACTIVATION_TANH] = tanh_forward, [SC_ACTIVATION_SILU] = silu_forward,
        [SC_ACTIVATION_GELU] = gelu_forward, [SC_ACTIVATION_GELU_TANH] = gelu_tanh_forward,
    };
    if (activation != SC_ACTIVATION_NONE)
        runs[activation](y, x, n);
    else if (y != x)
        memcpy(y, x, n * sizeof *y);
}
