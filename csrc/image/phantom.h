/* Procedural chest X-rays: enough anatomy to learn on, no patient. Nothing here is fit for clinical use. */
#ifndef SC_IMAGE_PHANTOM_H
#define SC_IMAGE_PHANTOM_H

#include "image/pixels.h"

#include <stdint.h>

/* Sums of these are sets of findings; 0 is normal. */
typedef enum sc_phantom_finding {
    SC_PHANTOM_NODULE = 1,   /* a small bright disc in one lung */
    SC_PHANTOM_EFFUSION = 2, /* the bottom of one lung filled up to a meniscus */
    SC_PHANTOM_OPACITY = 4,  /* hazy patches */
} sc_phantom_finding;

enum { SC_PHANTOM_MIN_SIZE = 16, SC_PHANTOM_FINDINGS = 3 };

/* A new grey image of size x size (at least SC_PHANTOM_MIN_SIZE) with a set of findings. Anatomy, exposure, noise and
 * findings vary with (seed, index); the same four numbers give the same bytes. */
sc_status sc_phantom_draw(sc_pixels *out, unsigned findings, size_t size, uint64_t seed, size_t index, sc_error *error);

#endif
