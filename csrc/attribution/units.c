#include "attribution/units.h"

#include <math.h>

size_t sc_node_units(const sc_node *node) {
    return node->shape.size[node->op->unit_axis == 0 ? 0 : node->shape.ndim - 1];
}

static double term(sc_unit_reduction measure, const sc_real *a, const sc_real *b, size_t i) {
    switch (measure) {
    case SC_UNIT_SUM:
        return (double)a[i];
    case SC_UNIT_MEAN_ABS:
        return fabs((double)a[i]);
    case SC_UNIT_ABS_PRODUCT:
        return fabs((double)a[i] * (double)b[i]);
    }
    return 0;
}

void sc_unit_reduce(sc_real *out, sc_unit_reduction measure, const sc_real *a, const sc_real *b, const sc_node *node,
                    size_t n) {
    size_t units = sc_node_units(node), per_sample = sc_shape_numel(&node->shape), positions = per_sample / units;
    bool maps = node->op->unit_axis == 0; /* positions of a unit are neighbours; else units of a position are */
    double share = measure == SC_UNIT_MEAN_ABS || measure == SC_UNIT_ABS_PRODUCT ? 1 / (double)positions : 1;
#pragma omp parallel for schedule(static) if (n * per_sample > 65536)
    for (size_t k = 0; k < n * units; k++) {
        size_t first = maps ? k * positions : k / units * per_sample + k % units;
        double sum = 0;
        for (size_t p = 0; p < positions; p++)
            sum += term(measure, a, b, first + p * (maps ? 1 : units));
        out[k] = (sc_real)(share * sum);
    }
}

/* The sums of one channel: LANES partial sums each, which vectorise, then their total. */
static void sum_channel(double *product, double *sum, const sc_real *value, const sc_real *grad, size_t count) {
    enum { LANES = 8 };
    double products[LANES] = {0}, grads[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= count; i += LANES)
        for (size_t j = 0; j < LANES; j++) {
            products[j] += (double)value[i + j] * (double)grad[i + j];
            grads[j] += (double)grad[i + j];
        }
    for (size_t j = 0; i + j < count; j++) {
        products[j] += (double)value[i + j] * (double)grad[i + j];
        grads[j] += (double)grad[i + j];
    }
    *product = *sum = 0;
    for (size_t j = 0; j < LANES; j++) {
        *product += products[j];
        *sum += grads[j];
    }
}

/* The sums of one sample's features over its tokens, one after the other. */
static void sum_features(double *products, double *grads, const sc_real *value, const sc_real *grad, size_t units,
                         size_t positions) {
    for (size_t u = 0; u < units; u++)
        products[u] = grads[u] = 0;
    for (size_t p = 0; p < positions; p++)
        for (size_t u = 0; u < units; u++) {
            products[u] += (double)value[p * units + u] * (double)grad[p * units + u];
            grads[u] += (double)grad[p * units + u];
        }
}

void sc_unit_products(double *products, double *grads, const sc_real *value, const sc_real *grad, size_t n,
                      size_t units, size_t positions, bool maps) {
    const size_t tasks = maps ? n * units : n;
#pragma omp parallel for schedule(static) if (n * units * positions > 65536)
    for (size_t i = 0; i < tasks; i++) {
        if (maps)
            sum_channel(&products[i], &grads[i], value + i * positions, grad + i * positions, positions);
        else
            sum_features(products + i * units, grads + i * units, value + i * units * positions,
                         grad + i * units * positions, units, positions);
    }
}
