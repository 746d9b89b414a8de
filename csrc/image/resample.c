#include "image/resample.h"
#include "base/size.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

/* Where one output position gets its value from, along one axis. */
typedef struct window {
    size_t first, count;
    const sc_real *weights;
} window;

/* Rows of the image cost most, so they are added up first, a line of the box at a time: few operations, all of them
 * along memory. Only the output's rows are then resized across. */
static void add_bytes(sc_real *line, const uint8_t *samples, sc_real weight, size_t count) {
    for (size_t i = 0; i < count; i++)
        line[i] += weight * (sc_real)samples[i];
}

static void add_words(sc_real *line, const uint16_t *samples, sc_real weight, size_t count) {
    for (size_t i = 0; i < count; i++)
        line[i] += weight * (sc_real)samples[i];
}

static void add_reals(sc_real *line, const sc_real *samples, sc_real weight, size_t count) {
    for (size_t i = 0; i < count; i++)
        line[i] += weight * samples[i];
}

/* The windows of out positions over in source positions, in the scratch's memory. */
static sc_status make_windows(window **windows, sc_scratch *scratch, size_t in, size_t out, sc_error *error) {
    double scale = (double)in / (double)out, reach = scale > 1 ? scale : 1;
    size_t taps = 2 * (size_t)ceil(reach) + 1, weights;
    if (!sc_size_multiply(&weights, taps, sizeof(sc_real)))
        return sc_error_set(error, SC_ERROR_MEMORY, "resize: the sizes do not fit the address space");
    SC_TRY(sc_scratch_reserve(scratch, out, sizeof(window) + weights, error));
    *windows = scratch->data;
    sc_real *next = (sc_real *)(*windows + out);
    for (size_t o = 0; o < out; o++, next += taps) {
        double centre = ((double)o + 0.5) * scale;
        double low = floor(centre - reach + 0.5), high = floor(centre + reach + 0.5);
        size_t first = low > 0 ? (size_t)low : 0;
        size_t end = high < (double)in ? (size_t)high : in;
        double sum = 0;
        size_t count = 0;
        for (size_t i = first; i < end && count < taps; i++, count++) {
            double weight = 1 - fabs((double)i + 0.5 - centre) / reach;
            next[count] = (sc_real)(weight > 0 ? weight : 0);
            sum += (double)next[count];
        }
        for (size_t k = 0; k < count; k++)
            next[k] = (sc_real)((double)next[k] / sum);
        (*windows)[o] = (window){.first = first, .count = count, .weights = next};
    }
    return SC_OK;
}

/* line [box width, channels] = the weighted sum of the window's rows, in the image's own units. */
static void add_rows(sc_real *line, const sc_pixels *pixels, const sc_box *box, const window *rows) {
    size_t count = box->width * pixels->channels;
    memset(line, 0, count * sizeof *line);
    for (size_t k = 0; k < rows->count; k++) {
        size_t at = ((box->top + rows->first + k) * pixels->width + box->left) * pixels->channels;
        if (rows->weights[k] == 0)
            continue;
        switch (pixels->depth) {
        case SC_DEPTH_8:
            add_bytes(line, (const uint8_t *)pixels->data + at, rows->weights[k], count);
            break;
        case SC_DEPTH_16:
            add_words(line, (const uint16_t *)pixels->data + at, rows->weights[k], count);
            break;
        case SC_DEPTH_REAL:
            add_reals(line, (const sc_real *)pixels->data + at, rows->weights[k], count);
            break;
        }
    }
}

/* out [width] = the line resized across, for one channel. */
static void add_columns(sc_real *out, size_t width, const sc_real *line, size_t channels, const window *columns,
                        sc_real full) {
    for (size_t o = 0; o < width; o++) {
        const sc_real *samples = line + columns[o].first * channels;
        sc_real sum = 0;
        for (size_t k = 0; k < columns[o].count; k++)
            sum += columns[o].weights[k] * samples[k * channels];
        out[o] = sum / full;
    }
}

sc_status sc_resample(sc_real *out, size_t height, size_t width, const sc_pixels *pixels, sc_box box,
                      sc_resample_scratch *scratch, sc_error *error) {
    window *columns, *rows;
    SC_TRY(make_windows(&columns, &scratch->columns, box.width, width, error));
    SC_TRY(make_windows(&rows, &scratch->rows, box.height, height, error));
    SC_TRY(sc_scratch_reserve(&scratch->line, box.width * pixels->channels, sizeof(sc_real), error));
    sc_real full = pixels->depth == SC_DEPTH_8 ? 255 : pixels->depth == SC_DEPTH_16 ? 65535 : 1;
    for (size_t y = 0; y < height; y++) {
        add_rows(scratch->line.data, pixels, &box, &rows[y]);
        for (size_t c = 0; c < pixels->channels; c++)
            add_columns(out + (c * height + y) * width, width, (const sc_real *)scratch->line.data + c,
                        pixels->channels, columns, full);
    }
    return SC_OK;
}

void sc_resample_scratch_release(sc_resample_scratch *scratch) {
    sc_scratch_release(&scratch->columns);
    sc_scratch_release(&scratch->rows);
    sc_scratch_release(&scratch->line);
}
