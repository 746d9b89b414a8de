/* The extents of a row-major tensor. */
#ifndef SC_TENSOR_SHAPE_H
#define SC_TENSOR_SHAPE_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

enum { SC_MAX_DIMS = 5 };

/* ndim 0 is a scalar with one element. Unused sizes are 0. */
typedef struct sc_shape {
    int ndim;
    size_t size[SC_MAX_DIMS];
} sc_shape;

/* Checks the number of dimensions and that the number of elements (and of bytes, at 8 per element) fits. */
sc_status sc_shape_init(sc_shape *out, int ndim, const size_t *sizes, sc_error *error);

/* The number of elements; sc_shape_init has seen to it that it fits. */
size_t sc_shape_numel(const sc_shape *shape);

/* Whether the two have the same dimensions. */
bool sc_shape_equal(const sc_shape *a, const sc_shape *b);

/* A copy with one more dimension in front; shape must have fewer than SC_MAX_DIMS. */
sc_shape sc_shape_prepend(const sc_shape *shape, size_t size);

/* A copy without the first dimension; shape must have one. */
sc_shape sc_shape_drop_first(const sc_shape *shape);

enum { SC_SHAPE_TEXT = 128 };

/* Writes e.g. "[8x3x3x3]" and returns text. */
const char *sc_shape_format(char text[SC_SHAPE_TEXT], const sc_shape *shape);

#endif
