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

/* Cut off on both sides in two steps, which compilers make vectors of. */
static sc_real scale_sample(sc_real sample, sc_real low, sc_real scale) {
    sc_real value = (sample - low) * scale;
    value = value < 0 ? 0 : value;
    return value > 1 ? 1 : value;
}

/* line[i] += weight * what the samples from `at` on stand for: for every stride-th i. */
static inline void add_scaled_channel(sc_real *line, const sc_pixels *pixels, size_t at, sc_real weight, size_t count,
                                      size_t stride, unsigned shift, sc_real low, sc_real scale) {
    const uint8_t *bytes = pixels->data;
    const uint16_t *words = pixels->data;
    const sc_real *reals = pixels->data;
    if (pixels->depth == SC_DEPTH_8)
        for (size_t i = 0; i < count; i += stride)
            line[i] += weight * scale_sample((sc_real)(bytes[at + i] >> shift), low, scale);
    else if (pixels->depth == SC_DEPTH_16)
        for (size_t i = 0; i < count; i += stride)
            line[i] += weight * scale_sample((sc_real)(words[at + i] >> shift), low, scale);
    else
        for (size_t i = 0; i < count; i += stride)
            line[i] += weight * scale_sample(reals[at + i], low, scale);
}

/* The same for all channels; a stride that the compiler knows is four times as fast. */
static void add_scaled(sc_real *line, const sc_pixels *pixels, size_t at, sc_real weight, size_t count,
                       const sc_value_scaling *scaling) {
    size_t channels = pixels->channels;
    if (channels == 1)
        add_scaled_channel(line, pixels, at, weight, count, 1, scaling->shift[0], scaling->low, scaling->scale[0]);
    else
        for (size_t c = 0; c < channels; c++)
            add_scaled_channel(line + c, pixels, at + c, weight, count - c, 3, scaling->shift[c], scaling->low,
                               scaling->scale[c]);
}

/* One axis of a request: positions first .. first + count - 1 of the `out` that `in` source positions are resized to;
 * begin .. end - 1 of the source positions are on the image. */
typedef struct axis {
    size_t in, out, first, count, begin, end;
} axis;

/* The filters, of the distance from their middle in units of the scale. */
static double filter_weight(sc_interpolation interpolation, double distance, double scale) {
    if (interpolation == SC_BILINEAR) {
        double weight = 1 - distance / scale;
        return weight > 0 ? weight : 0;
    }
    const double a = -0.5;
    double x = distance / scale;
    return x < 1 ? ((a + 2) * x - (a + 3)) * x * x + 1 : x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

/* Without the positions that are not on the image; first counts from the first that is. */
static window clip_window(const sc_real *weights, size_t first, size_t count, const axis *along) {
    size_t skipped = first < along->begin ? along->begin - first : 0;
    if (first + count <= along->begin || first >= along->end)
        return (window){.weights = weights};
    count = (first + count < along->end ? first + count : along->end) - (first + skipped);
    return (window){.first = first + skipped - along->begin, .count = count, .weights = weights + skipped};
}

/* The source positions that one output position reads, with weights that add up to one; those that are not on the image
 * are left out. first counts from the first position on the image. */
static window make_window(sc_real *weights, size_t taps, const axis *along, size_t o, sc_interpolation interpolation) {
    double scale = (double)along->in / (double)along->out, centre = ((double)o + 0.5) * scale;
    double stretch = scale > 1 ? scale : 1, reach = interpolation == SC_BICUBIC ? 2 * stretch : stretch;
    double low = floor(centre - reach + 0.5), high = floor(centre + reach + 0.5), sum = 0;
    size_t first = low > 0 ? (size_t)low : 0, end = high < (double)along->in ? (size_t)high : along->in, count = 0;
    for (size_t i = first; i < end && count < taps; i++, count++) {
        double distance = fabs((double)i + 0.5 - centre);
        weights[count] = (sc_real)filter_weight(interpolation, distance, stretch);
        sum += (double)weights[count];
    }
    for (size_t k = 0; k < count; k++)
        weights[k] = (sc_real)((double)weights[k] / sum);
    return clip_window(weights, first, count, along);
}

/* Of the nearest position alone. Where the middle lies between two, rounding decides: as in Pillow, whose step from one
 * middle to the next is added up from the first on (Geometry.c, ImagingScaleAffine). */
static void make_nearest(window *windows, sc_real *weights, size_t taps, const axis *along) {
    double scale = (double)along->in / (double)along->out, middle = scale * 0.5;
    for (size_t o = 0; o < along->first; o++)
        middle += scale;
    for (size_t i = 0; i < along->count; i++, middle += scale, weights += taps) {
        size_t first = middle < (double)along->in ? (size_t)middle : along->in - 1;
        weights[0] = 1;
        windows[i] = clip_window(weights, first, 1, along);
    }
}

/* The windows of the axis' positions, in the scratch's memory. */
static sc_status make_windows(window **windows, sc_scratch *scratch, const axis *along, sc_interpolation interpolation,
                              sc_error *error) {
    double scale = (double)along->in / (double)along->out, reach = scale > 1 ? scale : 1;
    size_t taps = 2 * (size_t)ceil(interpolation == SC_BICUBIC ? 2 * reach : reach) + 1, weights;
    if (!sc_size_multiply(&weights, taps, sizeof(sc_real)))
        return sc_error_set(error, SC_ERROR_MEMORY, "resize: the sizes do not fit the address space");
    SC_TRY(sc_scratch_reserve(scratch, along->count, sizeof(window) + weights, error));
    *windows = scratch->data;
    sc_real *next = (sc_real *)(*windows + along->count);
    if (interpolation == SC_NEAREST)
        make_nearest(*windows, next, taps, along);
    for (size_t i = 0; interpolation != SC_NEAREST && i < along->count; i++, next += taps)
        (*windows)[i] = make_window(next, taps, along, along->first + i, interpolation);
    return SC_OK;
}

/* line [box width, channels] = the weighted sum of the window's rows, in the image's own units. */
static void add_rows(sc_real *line, const sc_pixels *pixels, const sc_box *box, const window *rows,
                     const sc_value_scaling *scaling) {
    size_t count = box->width * pixels->channels;
    memset(line, 0, count * sizeof *line);
    for (size_t k = 0; k < rows->count; k++) {
        size_t at = ((box->top + rows->first + k) * pixels->width + box->left) * pixels->channels;
        if (rows->weights[k] == 0)
            continue;
        if (scaling) {
            add_scaled(line, pixels, at, rows->weights[k], count, scaling);
            continue;
        }
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

/* Along one axis: the box begins at `left` of the canvas and has `in` positions, the image begins at `image` and has
 * `length`. *start = where the box' first position on the image is, counted on the image. */
static axis make_axis(size_t *start, size_t left, size_t in, size_t image, size_t length) {
    size_t begin = image > left ? image - left : 0, end = image + length > left ? image + length - left : 0;
    axis along = {.in = in, .begin = begin < in ? begin : in, .end = end < in ? end : in};
    if (along.begin > along.end)
        along.begin = along.end;
    *start = left > image ? left - image : 0;
    return along;
}

sc_status sc_resample(sc_real *out, const sc_resample_request *request, const sc_pixels *pixels,
                      sc_resample_scratch *scratch, sc_error *error) {
    window *columns, *rows;
    const sc_box *box = &request->box, *part = &request->part;
    sc_box seen; /* what of the box is on the image, counted there */
    axis across = make_axis(&seen.left, box->left, box->width, request->image_left, pixels->width);
    axis down = make_axis(&seen.top, box->top, box->height, request->image_top, pixels->height);
    seen.width = across.end - across.begin;
    seen.height = down.end - down.begin;
    across.out = request->width, across.first = part->left, across.count = part->width;
    down.out = request->height, down.first = part->top, down.count = part->height;
    SC_TRY(make_windows(&columns, &scratch->columns, &across, request->interpolation, error));
    SC_TRY(make_windows(&rows, &scratch->rows, &down, request->interpolation, error));
    SC_TRY(
        sc_scratch_reserve(&scratch->line, (seen.width ? seen.width : 1) * pixels->channels, sizeof(sc_real), error));
    sc_real full = request->scaling ? 1 : (sc_real)sc_value_range_limit(pixels->depth);
    for (size_t y = 0; y < part->height; y++) {
        add_rows(scratch->line.data, pixels, &seen, &rows[y], request->scaling);
        for (size_t c = 0; c < pixels->channels; c++)
            add_columns(out + c * request->plane_stride + y * request->row_stride, part->width,
                        (const sc_real *)scratch->line.data + c, pixels->channels, columns, full);
    }
    return SC_OK;
}

sc_resample_request sc_resample_box(sc_box box, size_t height, size_t width) {
    return (sc_resample_request){.box = box,
                                 .height = height,
                                 .width = width,
                                 .part = {.width = width, .height = height},
                                 .row_stride = width,
                                 .plane_stride = height * width};
}

void sc_resample_scratch_release(sc_resample_scratch *scratch) {
    sc_scratch_release(&scratch->columns);
    sc_scratch_release(&scratch->rows);
    sc_scratch_release(&scratch->line);
}
