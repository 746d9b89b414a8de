#include "tensor/shape.h"

#include "base/size.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

sc_status sc_shape_init(sc_shape *out, int ndim, const size_t *sizes, sc_error *error) {
    if (ndim < 0 || ndim > SC_MAX_DIMS)
        return sc_error_set(error, SC_ERROR_ARGUMENT, "shape: expected at most %d dimensions, got %d", SC_MAX_DIMS,
                            ndim);
    sc_shape shape = {.ndim = ndim}; /* sizes may lie inside *out */
    size_t bytes = sizeof(double);
    for (int d = 0; d < ndim; d++) {
        shape.size[d] = sizes[d];
        /* zero-sized dimensions must not hide that the others are absurd */
        if (!sc_size_multiply(&bytes, bytes, sizes[d] ? sizes[d] : 1) || bytes > PTRDIFF_MAX / 2)
            return sc_error_set(error, SC_ERROR_ARGUMENT, "shape: too many elements");
    }
    *out = shape;
    return SC_OK;
}

size_t sc_shape_numel(const sc_shape *shape) {
    size_t numel = 1;
    for (int d = 0; d < shape->ndim; d++)
        numel *= shape->size[d];
    return numel;
}

bool sc_shape_equal(const sc_shape *a, const sc_shape *b) {
    if (a->ndim != b->ndim)
        return false;
    for (int d = 0; d < a->ndim; d++)
        if (a->size[d] != b->size[d])
            return false;
    return true;
}

sc_shape sc_shape_prepend(const sc_shape *shape, size_t size) {
    sc_shape out = {.ndim = shape->ndim + 1, .size = {size}};
    for (int d = 0; d < shape->ndim && d + 1 < SC_MAX_DIMS; d++)
        out.size[d + 1] = shape->size[d];
    return out;
}

sc_shape sc_shape_drop_first(const sc_shape *shape) {
    sc_shape out = *shape;
    memmove(out.size, out.size + 1, sizeof out.size - sizeof out.size[0]);
    out.size[SC_MAX_DIMS - 1] = 0;
    out.ndim--;
    return out;
}

const char *sc_shape_format(char text[SC_SHAPE_TEXT], const sc_shape *shape) {
    size_t used = (size_t)snprintf(text, SC_SHAPE_TEXT, "[");
    for (int d = 0; d < shape->ndim; d++)
        used += (size_t)snprintf(text + used, SC_SHAPE_TEXT - used, "%s%zu", d ? "x" : "", shape->size[d]);
    snprintf(text + used, SC_SHAPE_TEXT - used, "]");
    return text;
}
