/* Gaussian blur of planes. */
#ifndef SC_KERNEL_BLUR_H
#define SC_KERNEL_BLUR_H

#include "base/real.h"
#include "base/status.h"

#include <stddef.h>

/* Half the width of the kernel: four standard deviations, where less than 1e-4 of the mass is left outside. */
size_t sc_blur_radius(double sigma);

/* The kernel, from its middle to its edge: weights[radius + 1], which add up to 1 over both sides. */
typedef struct sc_blur_kernel {
    double *weights;
    size_t radius;
} sc_blur_kernel;

/* Fills the weights of a kernel whose radius is sc_blur_radius(sigma). */
void sc_blur_kernel_init(sc_blur_kernel *kernel, double sigma);

/* out[planes x height x width] = x blurred along both axes; borders continue outward (the nearest pixel). scratch
 * [planes x height x width]; out may be x. Ctrl-C ends it with SC_ERROR_INTERRUPTED, out then half done. */
sc_status sc_blur(sc_real *out, sc_real *scratch, const sc_real *x, const sc_blur_kernel *kernel, size_t planes,
                  size_t height, size_t width, sc_error *error);

#endif
