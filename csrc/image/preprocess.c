#include "image/preprocess.h"

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

sc_status sc_preprocess_apply(sc_real *out, const sc_preprocess *preprocess, const sc_pixels *pixels, size_t index,
                              sc_preprocess_scratch *scratch, sc_error *error) {
    size_t area = preprocess->size * preprocess->size;
    SC_TRY(sc_scratch_reserve(&scratch->planes, 6 * area, sizeof(sc_real), error));
    sc_real *planes = scratch->planes.data, *scratch_planes = planes + 3 * area;
    sc_augment_params params = {.box = {.width = pixels->width, .height = pixels->height}};
    if (preprocess->augmented) {
        sc_random random;
        sc_random_seed(&random, preprocess->seed, index);
        params = sc_augment_sample(&preprocess->augment, pixels->height, pixels->width, &random);
    }
    SC_TRY(sc_resample(planes, preprocess->size, preprocess->size, pixels, params.box, &scratch->resample, error));
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
}
