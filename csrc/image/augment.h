/* Random changes to training images, with torchvision's semantics: random resized crop, flips, rotation, colour jitter,
 * in that order (the paper's Appendix A). */
#ifndef SC_IMAGE_AUGMENT_H
#define SC_IMAGE_AUGMENT_H

#include "base/random.h"
#include "image/resample.h"

#include <stdbool.h>

/* Zeroed = everything off. */
typedef struct sc_augment {
    double scale[2];                         /* part of the area that a crop keeps; {0, 0}: the whole */
    double ratio[2];                         /* width / height of a crop; {0, 0}: the image's own */
    double hflip, vflip;                     /* probabilities */
    double rotation;                         /* degrees to either side */
    double brightness, contrast, saturation; /* a factor in 1 - v .. 1 + v */
} sc_augment;

enum { SC_JITTERS = 3 }; /* brightness, contrast, saturation */

/* The random parameters drawn for one image. */
typedef struct sc_augment_params {
    sc_box box;
    bool hflip, vflip;
    double angle; /* degrees, counter-clockwise */
    double factor[SC_JITTERS];
    int order[SC_JITTERS];
} sc_augment_params;

/* Whether a random crop is among the changes. */
bool sc_augment_crops(const sc_augment *augment);

/* Draws the parameters for an image of height x width pixels. */
sc_augment_params sc_augment_sample(const sc_augment *augment, size_t height, size_t width, sc_random *random);

/* Carries out all but the crop, on image [channels (1 or 3), size, size] in 0..1. Rotation fills with black.
 * scratch: room for as much again. */
void sc_augment_apply(sc_real *image, const sc_augment_params *params, size_t channels, size_t size, sc_real *scratch);

#endif
