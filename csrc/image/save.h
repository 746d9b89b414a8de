/* Tensor -> PNG file. */
#ifndef SC_IMAGE_SAVE_H
#define SC_IMAGE_SAVE_H

#include "tensor/tensor.h"

/* Writes an 8-bit PNG from [H,W], [1,H,W] (grey) or [3,H,W] (RGB): real in 0..1 (clamped; NaN is SC_ERROR_NUMERIC) or
 * uint8. A file that was there is replaced only when all is written. */
sc_status sc_image_save(const char *path, const sc_tensor *image, sc_error *error);

#endif
