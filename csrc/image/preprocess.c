#include "image/preprocess.h"

#include <math.h>
#include <string.h>

/* out [channels, area] from planes [have, area], whatever the two numbers of channels. */
static void convert_channels(sc_real *out, size_t channels, const sc_real *planes, size_t have, size_t area) {
    if (channels == 1 && have == 3)
        for (size_t i = 0; i < area; i++)
            out[i] = (sc_real)SC_LUMA_RED * planes[i] + (sc_real)SC_LUMA_GREEN * planes[area + i] +
                     (sc_real)SC_LUMA_BLUE * planes[2 * area + i];
    else
        for (size_t c = 0; c < channels; c++)
            memcpy(out + c * area, planes + (have == 3 ? c * area : 0), area * sizeof *out);
}

static void normalise(sc_real *out, const sc_preprocess *preprocess, size_t area) {
    for (size_t c = 0; c < preprocess->channels; c++)
        for (size_t i = 0; i < area; i++)
            out[c * area + i] = (out[c * area + i] - preprocess->mean[c]) / preprocess->std[c];
}

sc_box sc_preprocess_content(const sc_preprocess *preprocess, size_t height, size_t width) {
    size_t size = preprocess->size;
    sc_box box = {.width = size, .height = size};
    if (preprocess->resize != SC_RESIZE_PAD)
        return box;
    if (width < height)
        box.width = (size_t)fmax(nearbyint((double)width / (double)height * (double)size), 1);
    else if (height < width)
        box.height = (size_t)fmax(nearbyint((double)height / (double)width * (double)size), 1);
    box.left = (size_t)nearbyint((double)(size - box.width) * 0.5);
    box.top = (size_t)nearbyint((double)(size - box.height) * 0.5);
    return box;
}

/* The shorter side resized to preprocess->shorter, then the centre. */
static sc_resample_request centre_crop(const sc_preprocess *preprocess, size_t height, size_t width) {
    size_t shorter = preprocess->shorter, size = preprocess->size;
    size_t new_height = height <= width ? shorter : shorter * height / width;
    size_t new_width = height <= width ? shorter * width / height : shorter;
    sc_resample_request request = sc_resample_box((sc_box){.width = width, .height = height}, new_height, new_width);
    request.part = (sc_box){.left = (size_t)nearbyint((double)(new_width - size) / 2),
                            .top = (size_t)nearbyint((double)(new_height - size) / 2),
                            .width = size,
                            .height = size};
    request.row_stride = size;
    request.plane_stride = size * size;
    return request;
}

/* Without a random crop. *offset = where in the square the result begins. */
static sc_resample_request fixed_geometry(size_t *offset, const sc_preprocess *preprocess, size_t height,
                                          size_t width) {
    *offset = 0;
    if (preprocess->resize == SC_RESIZE_CROP)
        return centre_crop(preprocess, height, width);
    sc_box content = sc_preprocess_content(preprocess, height, width);
    sc_resample_request request =
        sc_resample_box((sc_box){.width = width, .height = height}, content.height, content.width);
    *offset = content.top * preprocess->size + content.left;
    request.row_stride = preprocess->size;
    request.plane_stride = preprocess->size * preprocess->size;
    return request;
}

/* The random choices for an image, and the crop as what is to be resampled. */
static sc_resample_request random_geometry(sc_augment_params *params, size_t *offset, const sc_preprocess *preprocess,
                                           size_t index, const sc_pixels *pixels) {
    sc_random random;
    size_t height = pixels->height, width = pixels->width, side = height > width ? height : width;
    bool pad = preprocess->resize == SC_RESIZE_PAD;
    sc_random_seed(&random, preprocess->seed, index);
    *params = sc_augment_sample(&preprocess->augment, pad ? side : height, pad ? side : width, &random);
    if (!sc_augment_crops(&preprocess->augment))
        return fixed_geometry(offset, preprocess, height, width);
    *offset = 0;
    sc_resample_request request = sc_resample_box(params->box, preprocess->size, preprocess->size);
    request.image_left = pad ? (side - width) / 2 : 0;
    request.image_top = pad ? (side - height) / 2 : 0;
    return request;
}

/* A cubic exceeds the values that it has. */
static void clamp_unit(sc_real *values, size_t count) {
    for (size_t i = 0; i < count; i++)
        values[i] = values[i] < 0 ? 0 : values[i] > 1 ? 1 : values[i];
}

/* planes [channels of the image, size, size] in 0..1. */
static sc_status resample(sc_real *planes, sc_augment_params *params, const sc_preprocess *preprocess,
                          const sc_pixels *pixels, size_t index, sc_preprocess_scratch *scratch, sc_error *error) {
    size_t area = preprocess->size * preprocess->size, offset;
    sc_resample_request request = preprocess->augmented
                                      ? random_geometry(params, &offset, preprocess, index, pixels)
                                      : fixed_geometry(&offset, preprocess, pixels->height, pixels->width);
    sc_value_scaling scaling;
    bool scaled;
    SC_TRY(sc_value_range_find(&scaling, &scaled, &preprocess->range, pixels, &scratch->values, error));
    request.scaling = scaled ? &scaling : NULL;
    request.interpolation = preprocess->interpolation;
    if (preprocess->resize == SC_RESIZE_PAD)
        memset(planes, 0, pixels->channels * area * sizeof *planes);
    SC_TRY(sc_resample(planes + offset, &request, pixels, &scratch->resample, error));
    if (preprocess->interpolation == SC_BICUBIC)
        clamp_unit(planes, pixels->channels * area);
    return SC_OK;
}

sc_status sc_preprocess_apply(sc_real *out, const sc_preprocess *preprocess, const sc_pixels *pixels, size_t index,
                              sc_preprocess_scratch *scratch, sc_error *error) {
    size_t area = preprocess->size * preprocess->size;
    SC_TRY(sc_scratch_reserve(&scratch->planes, 6 * area, sizeof(sc_real), error));
    sc_real *planes = scratch->planes.data, *scratch_planes = planes + 3 * area;
    sc_augment_params params = {0};
    SC_TRY(resample(planes, &params, preprocess, pixels, index, scratch, error));
    size_t channels = pixels->channels;
    if (preprocess->channels < channels) { /* grey is less work from here on */
        convert_channels(scratch_planes, preprocess->channels, planes, channels, area);
        memcpy(planes, scratch_planes, preprocess->channels * area * sizeof *planes);
        channels = preprocess->channels;
    }
    if (preprocess->augmented)
        sc_augment_apply(planes, &params, channels, preprocess->size, scratch_planes);
    convert_channels(out, preprocess->channels, planes, channels, area);
    normalise(out, preprocess, area);
    return SC_OK;
}

void sc_preprocess_scratch_release(sc_preprocess_scratch *scratch) {
    sc_resample_scratch_release(&scratch->resample);
    sc_scratch_release(&scratch->planes);
    sc_scratch_release(&scratch->values);
}
