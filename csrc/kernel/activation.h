/* Elementwise activations. y may be x. The way back adds to dx and reads what the signature names: the input x or the
 * output y of the way forth. */
#ifndef SC_KERNEL_ACTIVATION_H
#define SC_KERNEL_ACTIVATION_H

#include "base/real.h"

#include <stddef.h>

typedef enum sc_activation {
    SC_ACTIVATION_NONE,
    SC_ACTIVATION_RELU,
    SC_ACTIVATION_SIGMOID,
    SC_ACTIVATION_TANH,
    SC_ACTIVATION_SILU,
    SC_ACTIVATION_GELU,
    SC_ACTIVATION_GELU_TANH,
} sc_activation;

/* y[n] = the activation of x[n], on the calling thread: the same bits as the functions below. */
void sc_activation_apply(sc_activation activation, sc_real *y, const sc_real *x, size_t n);

/* max(x, 0); NaN stays NaN */
void sc_relu_forward(sc_real *y, const sc_real *x, size_t n);
void sc_relu_backward(sc_real *dx, const sc_real *y, const sc_real *dy, size_t n);

/* The same with nothing in dx before: dx = dy where y > 0, else 0. dx may be dy. */
void sc_relu_backward_write(sc_real *dx, const sc_real *y, const sc_real *dy, size_t n);

/* The way back of guided backpropagation: dx += max(dy, 0) where y > 0 (Springenberg et al. 2015). */
void sc_relu_guided_backward(sc_real *dx, const sc_real *y, const sc_real *dy, size_t n);

/* 1 / (1 + exp(-x)) */
void sc_sigmoid_forward(sc_real *y, const sc_real *x, size_t n);
void sc_sigmoid_backward(sc_real *dx, const sc_real *y, const sc_real *dy, size_t n);

/* The hyperbolic tangent. */
void sc_tanh_forward(sc_real *y, const sc_real *x, size_t n);
void sc_tanh_backward(sc_real *dx, const sc_real *y, const sc_real *dy, size_t n);

/* x * sigmoid(x) */
void sc_silu_forward(sc_real *y, const sc_real *x, size_t n);
void sc_silu_backward(sc_real *dx, const sc_real *x, const sc_real *dy, size_t n);

/* x * Phi(x) (Hendrycks and Gimpel, 2016) */
void sc_gelu_forward(sc_real *y, const sc_real *x, size_t n);
void sc_gelu_backward(sc_real *dx, const sc_real *x, const sc_real *dy, size_t n);

/* x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))) */
void sc_gelu_tanh_forward(sc_real *y, const sc_real *x, size_t n);
void sc_gelu_tanh_backward(sc_real *dx, const sc_real *x, const sc_real *dy, size_t n);

#endif
