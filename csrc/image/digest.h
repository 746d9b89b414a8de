/* Digests of decoded images: equal pixels give equal digests, whatever file they came from. */
#ifndef SC_IMAGE_DIGEST_H
#define SC_IMAGE_DIGEST_H

#include "image/source.h"

#include <stdbool.h>

enum { SC_IMAGE_DIGEST_TEXT = 33 }; /* 32 hexadecimal digits and the final zero */

typedef struct sc_image_digest {
    bool readable;
    char text[SC_IMAGE_DIGEST_TEXT]; /* "" where it could not be read */
} sc_image_digest;

/* The 128 bits of MurmurHash3 (x64; A. Appleby, public domain) over the samples, begun from the image's sizes. Colour
 * whose three channels agree everywhere counts as grey. Fit for finding the same image twice by accident; no defence
 * against somebody who makes two images with one digest on purpose. */
sc_status sc_pixels_digest(sc_image_digest *out, const sc_pixels *pixels, sc_error *error);

/* digests [count] of the images at these indices (from 0), on all cores. Each is decoded through the source's cache. */
sc_status sc_image_source_digests(sc_image_digest *digests, sc_image_source *source, const size_t *indices,
                                  size_t count, sc_error *error);

#endif
