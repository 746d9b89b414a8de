/* Procedural chest X-rays: enough anatomy to learn on, no patient. Nothing here is fit for clinical use. */
#ifndef SC_IMAGE_PHANTOM_H
#define SC_IMAGE_PHANTOM_H

#include "image/pixels.h"

#include <stdint.h>

typedef enum sc_phantom_class {
    SC_PHANTOM_NORMAL,
    SC_PHANTOM_NODULE,   /* a small bright disc in one lung */
    SC_PHANTOM_EFFUSION, /* the bottom of one lung filled up to a meniscus */
    SC_PHANTOM_OPACITY,  /* hazy patches */
    SC_PHANTOM_CLASSES,
} sc_phantom_class;

enum { SC_PHANTOM_MIN_SIZE = 16 };

/* A new grey image of size x size (at least SC_PHANTOM_MIN_SIZE). Anatomy, exposure, noise and finding vary with
 * (seed, index); the same four numbers give the same bytes. */
sc_status sc_phantom_draw(sc_pixels *out, sc_phantom_class finding, size_t size, uint64_t seed, size_t index,
                          sc_error *error);

#endif
