#include "image/extent.h"

#include "base/interrupt.h"
#include "image/value_range.h"

static void find_extent(sc_image_extent *out, sc_image_source *source, size_t index) {
    sc_pixels pixels = {0};
    *out = (sc_image_extent){0};
    if (sc_image_source_load(source, index, &pixels, NULL) == SC_OK) {
        *out = (sc_image_extent){.readable = true, .limit = sc_value_range_limit(pixels.depth)};
        sc_value_range_extent(&out->low, &out->high, &pixels);
        for (size_t c = 0; c < pixels.channels; c++)
            if (pixels.significant[c] > out->significant)
                out->significant = pixels.significant[c];
    }
    sc_pixels_release(&pixels);
}

sc_status sc_image_source_extents(sc_image_extent *extents, sc_image_source *source, const size_t *indices,
                                  size_t count, sc_error *error) {
#pragma omp parallel for schedule(dynamic, 1)
    for (size_t i = 0; i < count; i++)
        if (sc_interrupt_check(NULL) == SC_OK)
            find_extent(&extents[i], source, indices[i]);
    return sc_interrupt_check(error);
}
