/* Elementwise activations. */
#ifndef SC_KERNEL_ACTIVATION_H
#define SC_KERNEL_ACTIVATION_H

#include "base/real.h"

#include <stdbool.h>
#include <stddef.h>

typedef enum sc_activation {
    SC_ACTIVATION_NONE,
    SC_ACTIVATION_RELU,      /* max(x, 0); NaN stays NaN */
    SC_ACTIVATION_SIGMOID,   /* 1 / (1 + exp(-x)) */
    SC_ACTIVATION_TANH,      /* hyperbolic tangent */
    SC_ACTIVATION_SILU,      /* x * sigmoid(x) */
    SC_ACTIVATION_GELU,      /* x * Phi(x) (Hendrycks and Gimpel, 2016) */
    SC_ACTIVATION_GELU_TANH, /* x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))) */
} sc_activation;

/* y[n] = the activation of x[n], on all threads; y may be x. */
void sc_activation_forward(sc_activation activation, sc_real *y, const sc_real *x, size_t n);

/* The same, on the calling thread, to the same bits. */
void sc_activation_apply(sc_activation activation, sc_real *y, const sc_real *x, size_t n);

/* Whether the derivative is computed from the output y of forward; else it is from the input x. */
bool sc_activation_needs_output(sc_activation activation);

/* dx[n] += the derivative, from x or y as sc_activation_needs_output says, times dy[n]. */
void sc_activation_backward(sc_activation activation, sc_real *dx, const sc_real *x_or_y, const sc_real *dy, size_t n);

/* The backward pass of ReLU that writes: dx = dy where y > 0, else 0. dx may be dy. */
void sc_relu_backward_write(sc_real *dx, const sc_real *y, const sc_real *dy, size_t n);

/* That of guided backpropagation: dx += max(dy, 0) where y > 0 (Springenberg et al. 2015). */
void sc_relu_guided_backward(sc_real *dx, const sc_real *y, const sc_real *dy, size_t n);

#endif
