#include "attribution/path.h"

#include <string.h>

static void between(sc_real *out, const sc_real *x, const sc_real *x0, sc_real a, size_t count) {
    for (size_t i = 0; i < count; i++)
        out[i] = x0[i] + a * (x[i] - x0[i]);
}

static void fill(const void *context, sc_real *row, size_t sample, const sc_point *point, size_t index, size_t numel) {
    const sc_path *path = context;
    (void)index;
    if (point->alpha == 1) /* the input itself, not its rounding */
        memcpy(row, path->x + sample * numel, numel * sizeof(sc_real));
    else
        between(row, path->x + sample * numel, path->x0 + sample * numel, (sc_real)point->alpha, numel);
}

static void scale_by_path(sc_real *out, const sc_real *x, const sc_real *x0, size_t count) {
    for (size_t i = 0; i < count; i++)
        out[i] *= x[i] - x0[i];
}

sc_status sc_path_integrate(sc_gradient *gradient, const sc_gradient_sums *sums, const sc_path *path, sc_error *error) {
    sc_schedule schedule = {.n = path->n,
                            .point_count = path->point_count,
                            .points = path->points,
                            .output_grad = path->output_grad,
                            .fill = fill,
                            .context = path};
    SC_TRY(sc_gradient_run(gradient, sums, &schedule, error));
    if (sums->input)
        scale_by_path(sums->input, path->x, path->x0,
                      path->n * sc_shape_numel(&gradient->plan->graph->nodes[gradient->input].shape));
    return SC_OK;
}
