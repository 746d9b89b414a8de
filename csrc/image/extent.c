#include "image/extent.h"

#include "image/fault.h"
#include "image/value_range.h"

/* An image whose bytes are wrong has no extent; whatever else fails is no property of it. */
static sc_status find_extent(sc_image_extent *out, sc_image_source *source, size_t index, sc_error *error) {
    sc_pixels pixels = {0};
    *out = (sc_image_extent){0};
    sc_status status = sc_image_source_load(source, index, &pixels, error);
    if (status == SC_OK) {
        *out = (sc_image_extent){.readable = true, .limit = sc_value_range_limit(pixels.depth)};
        sc_value_range_extent(&out->low, &out->high, &pixels);
        for (size_t c = 0; c < pixels.channels; c++)
            if (pixels.significant[c] > out->significant)
                out->significant = pixels.significant[c];
    }
    sc_pixels_release(&pixels);
    return status == SC_ERROR_FORMAT ? SC_OK : status;
}

sc_status sc_image_source_extents(sc_image_extent *extents, sc_image_source *source, const size_t *indices,
                                  size_t count, sc_error *error) {
    sc_image_fault fault;
    sc_image_fault_init(&fault);
#pragma omp parallel for schedule(dynamic, 1)
    for (size_t i = 0; i < count; i++) {
        sc_error reason;
        if (!sc_image_fault_is_set(&fault) && find_extent(&extents[i], source, indices[i], &reason) != SC_OK)
            sc_image_fault_set(&fault, i, &reason);
    }
    return sc_image_fault_get(&fault, error);
}
