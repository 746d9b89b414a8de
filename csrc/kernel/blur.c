#include "kernel/blur.h"

#include "base/interrupt.h"
#include "base/math64.h"

#include <math.h>
#include <string.h>

size_t sc_blur_radius(double sigma) {
    return (size_t)(4 * sigma + 0.5);
}

void sc_blur_kernel_init(sc_blur_kernel *kernel, double sigma) {
    double *weights = kernel->weights, sum = 0;
    for (size_t k = 0; k <= kernel->radius; k++) {
        double z = (double)k / sigma;
        weights[k] = sc_exp64(-0.5 * z * z);
        sum += k ? 2 * weights[k] : weights[k];
    }
    for (size_t k = 0; k <= kernel->radius; k++)
        weights[k] /= sum;
}

static void add_row(sc_real *out, const sc_real *x, sc_real weight, size_t width) {
    for (size_t i = 0; i < width; i++)
        out[i] += weight * x[i];
}

static size_t clamp(ptrdiff_t i, size_t count) {
    return i < 0 ? 0 : (size_t)i < count ? (size_t)i : count - 1;
}

/* Rows of the plane, weighted: down the columns. Stops at Ctrl-C, which the caller asks for again. */
static void blur_down(sc_real *out, const sc_real *x, const sc_blur_kernel *kernel, size_t height, size_t width) {
    memset(out, 0, height * width * sizeof(sc_real));
    for (size_t y = 0; y < height && sc_interrupt_check(NULL) == SC_OK; y++)
        for (ptrdiff_t k = -(ptrdiff_t)kernel->radius; k <= (ptrdiff_t)kernel->radius; k++)
            add_row(out + y * width, x + clamp((ptrdiff_t)y + k, height) * width,
                    (sc_real)kernel->weights[k < 0 ? -k : k], width);
}

static void transpose(sc_real *out, const sc_real *x, size_t height, size_t width) {
    for (size_t y = 0; y < height; y++)
        for (size_t i = 0; i < width; i++)
            out[i * height + y] = x[y * width + i];
}

sc_status sc_blur(sc_real *out, sc_real *scratch, const sc_real *x, const sc_blur_kernel *kernel, size_t planes,
                  size_t height, size_t width, sc_error *error) {
    size_t numel = height * width;
#pragma omp parallel for schedule(static)
    for (size_t p = 0; p < planes; p++) {
        sc_real *a = scratch + p * numel, *b = out + p * numel;
        blur_down(a, x + p * numel, kernel, height, width);
        transpose(b, a, height, width);
        blur_down(a, b, kernel, width, height);
        transpose(b, a, width, height);
    }
    return sc_interrupt_check(error);
}
