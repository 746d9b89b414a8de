#include "image/colormap.h"

#include "base/math64.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

/* t of the header. */
static double position_of(double relevance, const sc_colormap *map) {
    double magnitude = fabs(relevance);
    if (map->limit <= 0 || magnitude == 0)
        return 0;
    double share = magnitude >= map->limit ? 1 : sc_pow64(magnitude / map->limit, map->gamma);
    return copysign(share, relevance);
}

/* colour [3] = the table at t in -1..1. */
static void look_up(double *colour, const sc_colormap *map, double t) {
    double zero = (double)map->zero, last = (double)(map->entries - 1);
    double position = t < 0 ? zero * (1 + t) : zero + t * (last - zero);
    size_t row = (size_t)position < map->entries - 2 ? (size_t)position : map->entries - 2;
    double rest = position - (double)row;
    const sc_real *low = map->table + 3 * row, *high = low + 3;
    for (size_t c = 0; c < 3; c++)
        colour[c] = (1 - rest) * (double)low[c] + rest * (double)high[c];
}

/* One row of relevance as one of the scale rows of pixels that it becomes. out: its first pixel in the red plane. */
static void apply_row(sc_real *out, size_t area, const sc_real *relevance, const sc_real *background, size_t width,
                      const sc_colormap *map) {
    for (size_t x = 0; x < width; x++) {
        double colour[3], t = position_of((double)relevance[x], map), opacity = 1;
        if (background) {
            if (t < 0 && map->zero == 0)
                t = 0;
            opacity = fmin(1, map->alpha * fabs(t) * (2 - fabs(t)));
            t = copysign(0.5 + 0.4 * fabs(t), t);
        }
        look_up(colour, map, t);
        for (size_t i = x * map->scale; i < (x + 1) * map->scale; i++)
            for (size_t c = 0; c < 3; c++) {
                double below = background ? (double)background[i] : 0;
                out[c * area + i] = (sc_real)(below + opacity * (colour[c] - below));
            }
    }
}

static sc_status check_finite(const char *name, const sc_real *values, size_t height, size_t width, sc_error *error) {
    for (size_t i = 0; i < height * width; i++)
        if (!isfinite(values[i]))
            return sc_error_set(error, SC_ERROR_NUMERIC, "%s: expected finite numbers, got %s at [%zu, %zu]", name,
                                isnan(values[i]) ? "NaN"
                                : values[i] > 0  ? "inf"
                                                 : "-inf",
                                i / width + 1, i % width + 1);
    return SC_OK;
}

sc_status sc_colormap_apply(sc_real *out, const sc_real *relevance, size_t height, size_t width, const sc_colormap *map,
                            sc_error *error) {
    size_t line = width * map->scale, lines = height * map->scale;
    SC_TRY(check_finite("relevance", relevance, height, width, error));
    if (map->background)
        SC_TRY(check_finite("background", map->background, lines, line, error));
    for (size_t y = 0; y < lines; y++)
        apply_row(out + y * line, line * lines, relevance + y / map->scale * width,
                  map->background ? map->background + y * line : NULL, width, map);
    return SC_OK;
}

/* The bits of a magnitude: as whole numbers they are ordered as the magnitudes are. */
static uint64_t bits_of(sc_real value) {
    double magnitude = fabs((double)value);
    uint64_t bits;
    memcpy(&bits, &magnitude, sizeof bits);
    return bits;
}

/* Byte by byte from the top, as in a radix sort: count which values of those that share the bytes found so far have
 * which next byte, and go on with the byte that the rank falls on. */
sc_status sc_magnitude_percentile(double *out, const sc_real *values, size_t count, double percentile,
                                  sc_error *error) {
    SC_TRY(check_finite("relevance", values, 1, count, error));
    double wanted = ceil((double)count * percentile / 100);
    size_t rank = wanted < 1 ? 1 : wanted > (double)count ? count : (size_t)wanted;
    uint64_t found = 0, mask = 0;
    for (int shift = 56; shift >= 0; shift -= 8) {
        size_t counts[256] = {0}, byte = 0;
        for (size_t i = 0; i < count; i++) {
            uint64_t bits = bits_of(values[i]);
            if ((bits & mask) == found)
                counts[bits >> shift & 255]++;
        }
        for (; counts[byte] < rank; byte++)
            rank -= counts[byte];
        found |= (uint64_t)byte << shift;
        mask |= (uint64_t)255 << shift;
    }
    memcpy(out, &found, sizeof *out);
    return SC_OK;
}
