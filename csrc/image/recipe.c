#include "image/recipe.h"

#include <string.h>

/* out [channels, area] from planes [have, area], whatever the two numbers of channels. */
static void convert(sc_real *out, size_t channels, const sc_real *planes, size_t have, size_t area) {
    if (channels == 1 && have == 3)
        for (size_t i = 0; i < area; i++)
            out[i] = (sc_real)SC_LUMA_RED * planes[i] + (sc_real)SC_LUMA_GREEN * planes[area + i] +
                     (sc_real)SC_LUMA_BLUE * planes[2 * area + i];
    else
        for (size_t c = 0; c < channels; c++)
            memcpy(out + c * area, planes + (have == 3 ? c * area : 0), area * sizeof *out);
}

static void normalise(sc_real *out, const sc_image_recipe *recipe, size_t area) {
    for (size_t c = 0; c < recipe->channels; c++)
        for (size_t i = 0; i < area; i++)
            out[c * area + i] = (out[c * area + i] - recipe->mean[c]) / recipe->std[c];
}

sc_status sc_recipe_apply(sc_real *out, const sc_image_recipe *recipe, const sc_pixels *pixels, size_t index,
                          sc_recipe_scratch *scratch, sc_error *error) {
    size_t area = recipe->size * recipe->size;
    SC_TRY(sc_scratch_reserve(&scratch->planes, 6 * area, sizeof(sc_real), error));
    sc_real *planes = scratch->planes.data, *spare = planes + 3 * area;
    sc_augment_draw draw = {.box = {.width = pixels->width, .height = pixels->height}};
    if (recipe->augmented) {
        sc_random random;
        sc_random_seed(&random, recipe->seed, index);
        draw = sc_augment_choose(&recipe->augment, pixels->height, pixels->width, &random);
    }
    SC_TRY(sc_resample(planes, recipe->size, recipe->size, pixels, draw.box, &scratch->resample, error));
    size_t channels = pixels->channels;
    if (recipe->channels < channels) { /* grey is less work from here on */
        convert(spare, recipe->channels, planes, channels, area);
        memcpy(planes, spare, recipe->channels * area * sizeof *planes);
        channels = recipe->channels;
    }
    if (recipe->augmented)
        sc_augment_apply(planes, &draw, channels, recipe->size, spare);
    convert(out, recipe->channels, planes, channels, area);
    normalise(out, recipe, area);
    return SC_OK;
}

void sc_recipe_scratch_release(sc_recipe_scratch *scratch) {
    sc_resample_scratch_release(&scratch->resample);
    sc_scratch_release(&scratch->planes);
}
