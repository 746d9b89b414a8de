/* Tensor -> PNG file. */
#ifndef SC_IMAGE_WRITE_H
#define SC_IMAGE_WRITE_H

#include "tensor/tensor.h"

/* Writes an 8-bit PNG from [H,W], [1,H,W] (grey) or [3,H,W] (RGB): real in 0..1 (clamped; NaN is SC_ERROR_NUMERIC) or
 * uint8. A file that could not be written whole is removed. */
sc_status sc_image_write(const char *path, const sc_tensor *image, sc_error *error);

#endif
