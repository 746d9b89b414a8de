#include "image/augment.h"

#include "base/math64.h"

#include <math.h>
#include <string.h>

static sc_box centre_crop(size_t height, size_t width, double crop_height, double crop_width) {
    sc_box box = {.width = (size_t)fmin(fmax(crop_width, 1), (double)width),
                  .height = (size_t)fmin(fmax(crop_height, 1), (double)height)};
    box.left = (width - box.width) / 2;
    box.top = (height - box.height) / 2;
    return box;
}

bool sc_augment_crops(const sc_augment *augment) {
    return augment->scale[1] > 0 || augment->ratio[1] > 0;
}

/* RandomResizedCrop.get_params: ten tries at a crop that fits, then the largest centred one of an allowed ratio. */
static sc_box sample_crop(const sc_augment *augment, size_t height, size_t width, sc_random *random) {
    double own = (double)width / (double)height;
    bool any_scale = augment->scale[1] > 0, any_ratio = augment->ratio[1] > 0;
    double ratio[2] = {any_ratio ? augment->ratio[0] : own, any_ratio ? augment->ratio[1] : own};
    if (!any_scale && !any_ratio)
        return (sc_box){.width = width, .height = height};
    for (int attempt = 0; attempt < 10; attempt++) {
        double part = any_scale ? sc_random_between(random, augment->scale[0], augment->scale[1]) : 1;
        double aspect = sc_exp64(sc_random_between(random, sc_log64(ratio[0]), sc_log64(ratio[1])));
        double area = (double)width * (double)height * part;
        double crop_width = nearbyint(sqrt(area * aspect)), crop_height = nearbyint(sqrt(area / aspect));
        if (crop_width >= 1 && crop_width <= (double)width && crop_height >= 1 && crop_height <= (double)height) {
            sc_box box = {.width = (size_t)crop_width, .height = (size_t)crop_height};
            box.top = (size_t)sc_random_below(random, height - box.height + 1);
            box.left = (size_t)sc_random_below(random, width - box.width + 1);
            return box;
        }
    }
    if (own < ratio[0])
        return centre_crop(height, width, nearbyint((double)width / ratio[0]), (double)width);
    if (own > ratio[1])
        return centre_crop(height, width, (double)height, nearbyint((double)height * ratio[1]));
    return (sc_box){.width = width, .height = height};
}

sc_augment_params sc_augment_sample(const sc_augment *augment, size_t height, size_t width, sc_random *random) {
    sc_augment_params params = {.box = sample_crop(augment, height, width, random)};
    double spread[SC_JITTERS] = {augment->brightness, augment->contrast, augment->saturation};
    params.hflip = sc_random_uniform(random) < augment->hflip;
    params.vflip = sc_random_uniform(random) < augment->vflip;
    params.angle = sc_random_between(random, -augment->rotation, augment->rotation);
    size_t order[SC_JITTERS] = {0, 1, 2};
    sc_random_shuffle(random, order, SC_JITTERS);
    for (int i = 0; i < SC_JITTERS; i++) {
        params.order[i] = (int)order[i];
        params.factor[i] = sc_random_between(random, fmax(0, 1 - spread[i]), 1 + spread[i]);
    }
    return params;
}

static void swap(sc_real *a, sc_real *b) {
    sc_real value = *a;
    *a = *b;
    *b = value;
}

static void flip_columns(sc_real *image, size_t rows, size_t size) {
    for (size_t y = 0; y < rows; y++)
        for (size_t x = 0; x < size / 2; x++)
            swap(&image[y * size + x], &image[y * size + size - 1 - x]);
}

static void flip_rows(sc_real *image, size_t channels, size_t size) {
    for (size_t c = 0; c < channels; c++, image += size * size)
        for (size_t y = 0; y < size / 2; y++)
            for (size_t x = 0; x < size; x++)
                swap(&image[y * size + x], &image[(size - 1 - y) * size + x]);
}

/* The value at (x, y) of a plane [size, size], bilinear, black outside. */
static sc_real bilinear_at_border(const sc_real *plane, long size, long x, long y, sc_real fx, sc_real fy) {
    sc_real sum = 0;
    for (long dy = 0; dy < 2; dy++)
        for (long dx = 0; dx < 2; dx++)
            if (x + dx >= 0 && x + dx < size && y + dy >= 0 && y + dy < size)
                sum += (dx ? fx : 1 - fx) * (dy ? fy : 1 - fy) * plane[(y + dy) * size + x + dx];
    return sum;
}

static void rotate(sc_real *out, const sc_real *image, size_t channels, size_t length, double degrees) {
    double angle = degrees * (0x1.921fb54442d18p+1 / 180); /* pi */
    double sine = sc_sin64(angle), cosine = sc_cos64(angle), middle = ((double)length - 1) / 2;
    long size = (long)length;
    for (long y = 0; y < size; y++)
        for (long x = 0; x < size; x++) {
            double dx = (double)x - middle, dy = (double)y - middle;
            double sx = cosine * dx - sine * dy + middle, sy = sine * dx + cosine * dy + middle;
            double cx = floor(sx), cy = floor(sy);
            long ix = (long)cx, iy = (long)cy;
            sc_real fx = (sc_real)(sx - cx), fy = (sc_real)(sy - cy);
            bool inside = ix >= 0 && iy >= 0 && ix < size - 1 && iy < size - 1;
            for (size_t c = 0; c < channels; c++) {
                const sc_real *plane = image + c * length * length;
                const sc_real *corner = inside ? plane + iy * size + ix : plane;
                out[c * length * length + (size_t)(y * size + x)] =
                    inside ? (1 - fy) * ((1 - fx) * corner[0] + fx * corner[1]) +
                                 fy * ((1 - fx) * corner[size] + fx * corner[size + 1])
                           : bilinear_at_border(plane, size, ix, iy, fx, fy);
            }
        }
}

static sc_real luma(const sc_real *image, size_t area, size_t i) {
    return (sc_real)SC_LUMA_RED * image[i] + (sc_real)SC_LUMA_GREEN * image[area + i] +
           (sc_real)SC_LUMA_BLUE * image[2 * area + i];
}

static sc_real clamp_unit(sc_real value) {
    return value < 0 ? 0 : value > 1 ? 1 : value;
}

/* image = factor * image + offset, kept in 0..1. */
static void scale_and_clamp(sc_real *image, size_t count, sc_real factor, sc_real offset) {
    for (size_t i = 0; i < count; i++) {
        sc_real value = factor * image[i] + offset;
        value = value < 0 ? 0 : value;
        image[i] = value > 1 ? 1 : value;
    }
}

static void adjust_contrast(sc_real *image, size_t channels, size_t area, sc_real factor) {
    double sum = 0;
    for (size_t i = 0; i < area; i++)
        sum += (double)(channels == 3 ? luma(image, area, i) : image[i]);
    scale_and_clamp(image, channels * area, factor, (1 - factor) * (sc_real)(sum / (double)area));
}

static void adjust_saturation(sc_real *image, size_t area, sc_real factor) {
    for (size_t i = 0; i < area; i++) {
        sc_real grey = (1 - factor) * luma(image, area, i);
        for (size_t c = 0; c < 3; c++)
            image[c * area + i] = clamp_unit(factor * image[c * area + i] + grey);
    }
}

void sc_augment_apply(sc_real *image, const sc_augment_params *params, size_t channels, size_t size, sc_real *scratch) {
    size_t area = size * size;
    if (params->hflip)
        flip_columns(image, channels * size, size);
    if (params->vflip)
        flip_rows(image, channels, size);
    if (params->angle != 0) {
        memcpy(scratch, image, channels * area * sizeof *image);
        rotate(image, scratch, channels, size, params->angle);
    }
    for (int i = 0; i < SC_JITTERS; i++) {
        sc_real factor = (sc_real)params->factor[params->order[i]];
        if (factor == 1)
            continue;
        if (params->order[i] == 0)
            scale_and_clamp(image, channels * area, factor, 0);
        else if (params->order[i] == 1)
            adjust_contrast(image, channels, area, factor);
        else if (channels == 3)
            adjust_saturation(image, area, factor);
    }
}
