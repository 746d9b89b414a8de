/* Gaussian blur of planes. */
#ifndef SC_KERNEL_BLUR_H
#define SC_KERNEL_BLUR_H

#include "base/real.h"
#include "base/status.h"

#include <stddef.h>

/* Half the width of the kernel: four standard deviations, where less than 1e-4 of the mass is left outside. */
size_t sc_blur_radius(double sigma);

/* weights[radius + 1] = the kernel from its middle to its edge, so that it adds up to 1 over both sides. */
void sc_blur_weights(double *weights, double sigma, size_t radius);

/* out[planes x height x width] = x blurred along both axes; borders continue outward (the nearest pixel). scratch
 * [planes x height x width]; out may be x. Ctrl-C ends it with SC_ERROR_INTERRUPTED, out then half done. */
sc_status sc_blur(sc_real *out, sc_real *scratch, const sc_real *x, const double *weights, size_t radius, size_t planes,
                  size_t height, size_t width, sc_error *error);

#endif
