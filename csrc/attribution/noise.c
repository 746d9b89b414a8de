#include "attribution/noise.h"

#include "base/memory.h"
#include "base/random.h"

#include <string.h>

static double range(const sc_real *x, size_t count) {
    sc_real low = x[0], high = x[0];
    for (size_t i = 1; i < count; i++) {
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
    }
    return (double)high - (double)low;
}

static void fill(const void *context, sc_real *row, size_t sample, const sc_point *point, size_t index, size_t numel) {
    const sc_noise *noise = context;
    const sc_real *x = noise->x + sample * numel;
    sc_random random;
    (void)point;
    if (noise->noise_level == 0) { /* also where the range is not finite */
        memcpy(row, x, numel * sizeof(sc_real));
        return;
    }
    double deviation = noise->noise_level * range(x, numel);
    sc_random_seed(&random, sc_random_mix(noise->seed, noise->first + sample), index);
    for (size_t i = 0; i < numel; i++)
        row[i] = (sc_real)((double)x[i] + deviation * sc_random_normal(&random));
}

sc_status sc_noise_average(sc_gradient *gradient, const sc_gradient_sums *sums, const sc_noise *noise,
                           sc_error *error) {
    void *memory;
    SC_TRY(sc_memory_calloc(&memory, noise->samples + 1, sizeof(sc_point), error));
    sc_point *points = memory;
    for (size_t k = 0; k < noise->samples; k++)
        points[k] = (sc_point){.weight = 1 / (double)noise->samples, .node = true};
    sc_schedule schedule = {.n = noise->n,
                            .point_count = noise->samples,
                            .points = points,
                            .output_grad = noise->output_grad,
                            .fill = fill,
                            .context = noise};
    sc_status status = sc_gradient_run(gradient, sums, &schedule, error);
    sc_memory_free(points);
    return status;
}
