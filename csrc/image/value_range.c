#include "image/value_range.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

double sc_value_range_limit(sc_depth depth) {
    return depth == SC_DEPTH_8 ? UINT8_MAX : depth == SC_DEPTH_16 ? UINT16_MAX : 1;
}

static double stored_value(const sc_pixels *pixels, size_t at) {
    switch (pixels->depth) {
    case SC_DEPTH_8:
        return ((const uint8_t *)pixels->data)[at];
    case SC_DEPTH_16:
        return ((const uint16_t *)pixels->data)[at];
    case SC_DEPTH_REAL:
        break;
    }
    return (double)((const sc_real *)pixels->data)[at];
}

void sc_value_range_extent(double *low, double *high, const sc_pixels *pixels) {
    size_t count = pixels->width * pixels->height * pixels->channels;
    *low = *high = stored_value(pixels, 0);
    for (size_t i = 1; i < count; i++) {
        double value = stored_value(pixels, i);
        *low = value < *low ? value : *low;
        *high = value > *high ? value : *high;
    }
}

/* What percentiles are read from: how often each stored value occurs, or all reals in ascending order. */
typedef struct distribution {
    const size_t *counts; /* by stored value; NULL: see sorted */
    const sc_real *sorted;
    size_t total;
} distribution;

static int compare_reals(const void *left, const void *right) {
    sc_real a = *(const sc_real *)left, b = *(const sc_real *)right;
    return (a > b) - (a < b);
}

static sc_status find_distribution(distribution *out, const sc_pixels *pixels, sc_scratch *scratch, sc_error *error) {
    size_t count = pixels->width * pixels->height * pixels->channels;
    *out = (distribution){.total = count};
    if (pixels->depth == SC_DEPTH_REAL) {
        SC_TRY(sc_scratch_reserve(scratch, count, sizeof(sc_real), error));
        memcpy(scratch->data, pixels->data, count * sizeof(sc_real));
        qsort(scratch->data, count, sizeof(sc_real), compare_reals);
        out->sorted = scratch->data;
        return SC_OK;
    }
    size_t values = pixels->depth == SC_DEPTH_8 ? UINT8_MAX + 1 : UINT16_MAX + 1;
    SC_TRY(sc_scratch_reserve(scratch, values, sizeof(size_t), error));
    size_t *counts = scratch->data;
    memset(counts, 0, values * sizeof *counts);
    for (size_t i = 0; i < count; i++)
        counts[pixels->depth == SC_DEPTH_8 ? ((const uint8_t *)pixels->data)[i]
                                           : ((const uint16_t *)pixels->data)[i]]++;
    out->counts = counts;
    return SC_OK;
}

/* The value at a place, from 0, in ascending order. */
static double order_statistic(const distribution *from, size_t place) {
    if (!from->counts)
        return (double)from->sorted[place];
    size_t value = 0;
    for (size_t below = from->counts[0]; below <= place; below += from->counts[value])
        value++;
    return (double)value;
}

static double percentile(const distribution *from, double percent) {
    double place = percent / 100 * (double)(from->total - 1);
    size_t below = (size_t)place, above = below + 1 < from->total ? below + 1 : below;
    double low = order_statistic(from, below), high = order_statistic(from, above);
    return low + (high - low) * (place - floor(place));
}

static void scale_between(sc_value_scaling *out, double low, double high) {
    sc_real scale = high > low ? (sc_real)(1 / (high - low)) : 0;
    *out = (sc_value_scaling){.low = (sc_real)low, .scale = {scale, scale, scale}};
}

/* PNG (W3C, 2003), 11.3.3.4 and 12.5: the original samples are the highest bits of those that are stored. */
static void scale_significant(sc_value_scaling *out, bool *needed, const sc_pixels *pixels) {
    unsigned depth = pixels->depth == SC_DEPTH_8 ? 8 : 16;
    *out = (sc_value_scaling){0};
    *needed = false;
    for (size_t c = 0; c < pixels->channels; c++) {
        unsigned bits = pixels->significant[c];
        bool fewer = pixels->depth != SC_DEPTH_REAL && bits > 0 && bits < depth;
        out->shift[c] = fewer ? depth - bits : 0;
        out->scale[c] = 1 / (sc_real)(fewer ? (1u << bits) - 1 : (1u << depth) - 1);
        *needed = *needed || fewer;
    }
}

sc_status sc_value_range_find(sc_value_scaling *out, bool *needed, const sc_value_range *range, const sc_pixels *pixels,
                              sc_scratch *scratch, sc_error *error) {
    double low = range->low, high = range->high;
    *needed = true;
    if (range->kind == SC_RANGE_STORED) {
        scale_significant(out, needed, pixels);
        return SC_OK;
    }
    if (range->kind == SC_RANGE_PERCENTILE) {
        distribution values;
        SC_TRY(find_distribution(&values, pixels, scratch, error));
        low = percentile(&values, 0.5);
        high = percentile(&values, 99.5);
    }
    if (range->kind == SC_RANGE_FULL || (range->kind == SC_RANGE_PERCENTILE && !(low < high)))
        sc_value_range_extent(&low, &high, pixels);
    scale_between(out, low, high);
    return SC_OK;
}
