/* What an image goes through on its way to the network: crop and resize, random changes, normalisation. */
#ifndef SC_IMAGE_PREPROCESS_H
#define SC_IMAGE_PREPROCESS_H

#include "image/augment.h"

/* How an image becomes a square. */
typedef enum sc_resize_mode {
    SC_RESIZE_SQUASH, /* resized, its aspect not kept */
    SC_RESIZE_CROP,   /* the shorter side resized to a length, then the centre: torchvision's Resize and CenterCrop */
    SC_RESIZE_PAD,    /* the longer side resized to the square's, the rest black on both sides: Pillow's ImageOps.pad */
} sc_resize_mode;

/* The steps, and their settings. */
typedef struct sc_preprocess {
    size_t size;     /* of the square that comes out */
    size_t channels; /* 1 or 3 */
    sc_resize_mode resize;
    size_t shorter; /* of SC_RESIZE_CROP: the length of the shorter side, at least size */
    sc_interpolation interpolation;
    sc_value_range range;
    sc_real mean[3], std[3];
    bool augmented;
    sc_augment augment;
    uint64_t seed; /* with the image's index it decides every random choice */
} sc_preprocess;

/* One per thread; zeroed = empty. */
typedef struct sc_preprocess_scratch {
    sc_resample_scratch resample;
    sc_scratch planes, values;
} sc_preprocess_scratch;

/* out [channels, size, size]. A random crop takes the place of the fixed geometry: it is one of the whole image, with
 * SC_RESIZE_PAD one of the image padded to a square. The result depends on the image, *preprocess and the index, on
 * nothing else. */
sc_status sc_preprocess_apply(sc_real *out, const sc_preprocess *preprocess, const sc_pixels *pixels, size_t index,
                              sc_preprocess_scratch *scratch, sc_error *error);

/* Where the whole image lies in the square, without augmentation and with SC_RESIZE_PAD: outside is black. */
sc_box sc_preprocess_content(const sc_preprocess *preprocess, size_t height, size_t width);

/* Frees the buffers and leaves an empty scratch. */
void sc_preprocess_scratch_release(sc_preprocess_scratch *scratch);

#endif
