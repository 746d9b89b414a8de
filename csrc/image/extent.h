/* Which of the values that their format allows the images of a source use. */
#ifndef SC_IMAGE_EXTENT_H
#define SC_IMAGE_EXTENT_H

#include "image/source.h"

#include <stdbool.h>

typedef struct sc_image_extent {
    bool readable;
    double low, high;     /* in stored units */
    double limit;         /* the highest value that the format allows */
    unsigned significant; /* the most bits that count in any channel; 0: all, or not said */
} sc_image_extent;

/* extents [count] of the images at these indices, on all cores, through the source's cache. */
sc_status sc_image_source_extents(sc_image_extent *extents, sc_image_source *source, const size_t *indices,
                                  size_t count, sc_error *error);

#endif
