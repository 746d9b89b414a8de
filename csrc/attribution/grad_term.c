#include "attribution/grad_term.h"

#include "attribution/units.h"
#include "kernel/reduce.h"

enum { BLOCK = 8192 };

static void add_change(sc_real *out, const sc_grad_term *p, size_t first, size_t count) {
    const sc_real *grad = p->grad + first, *value = p->value + first, *before = p->before + first;
    for (size_t i = 0; i < count; i++)
        out[i] += p->weight * grad[i] * (value[i] - before[i]);
}

static void add_product(sc_real *out, const sc_grad_term *p, size_t first, size_t count) {
    const sc_real *grad = p->grad + first, *value = p->value + first;
    for (size_t i = 0; i < count; i++)
        out[i] += p->weight * grad[i] * value[i];
}

static void add_gradient(sc_real *out, const sc_grad_term *p, size_t first, size_t count) {
    const sc_real *grad = p->grad + first;
    for (size_t i = 0; i < count; i++)
        out[i] += p->weight * grad[i];
}

/* out[count] += elements first .. first + count - 1 of the term. */
static void add(sc_real *out, const sc_grad_term *p, size_t first, size_t count) {
    if (p->before)
        add_change(out, p, first, count);
    else if (p->value)
        add_product(out, p, first, count);
    else
        add_gradient(out, p, first, count);
}

/* The sum of the term over positions that are neighbours. */
static double sum_run(const sc_grad_term *p, size_t first, size_t count) {
    sc_real terms[BLOCK / 4];
    double total = 0;
    for (size_t done = 0; done < count; done += BLOCK / 4) {
        size_t n = count - done < BLOCK / 4 ? count - done : BLOCK / 4;
        for (size_t i = 0; i < n; i++)
            terms[i] = 0;
        add(terms, p, first + done, n);
        total += sc_reduce_sum64(terms, n);
    }
    return total;
}

static void add_maps(const sc_grad_term *terms, size_t count, size_t units, size_t positions) {
#pragma omp parallel for schedule(static) if (count * units * positions > 4 * BLOCK)
    for (size_t u = 0; u < units; u++)
        for (size_t k = 0; k < count; k++)
            terms[k].out[u] += (sc_real)sum_run(&terms[k], u * positions, positions);
}

static void add_to_double(double *total, const sc_real *x, size_t count) {
    for (size_t i = 0; i < count; i++)
        total[i] += (double)x[i];
}

/* Features of tokens: units of a position are neighbours. */
static void add_features(const sc_grad_term *terms, size_t count, size_t units, size_t positions) {
    enum { FEATURES = 256 };
#pragma omp parallel for schedule(static) if (count * units * positions > 4 * BLOCK)
    for (size_t first = 0; first < units; first += FEATURES) {
        size_t n = units - first < FEATURES ? units - first : FEATURES;
        for (size_t k = 0; k < count; k++) {
            double total[FEATURES] = {0};
            for (size_t p = 0; p < positions; p++) {
                sc_real values[FEATURES] = {0};
                add(values, &terms[k], p * units + first, n);
                add_to_double(total, values, n);
            }
            for (size_t i = 0; i < n; i++)
                terms[k].out[first + i] += (sc_real)total[i];
        }
    }
}

static void add_whole(const sc_grad_term *terms, size_t count, size_t numel) {
#pragma omp parallel for schedule(static) if (count * numel > 4 * BLOCK)
    for (size_t first = 0; first < numel; first += BLOCK)
        for (size_t k = 0; k < count; k++)
            add(terms[k].out + first, &terms[k], first, numel - first < BLOCK ? numel - first : BLOCK);
}

void sc_grad_terms_add(const sc_grad_term *terms, size_t count, const sc_node *node, bool units) {
    size_t numel = sc_shape_numel(&node->shape), unit_count = sc_node_units(node);
    if (count == 0)
        return;
    if (!units)
        add_whole(terms, count, numel);
    else if (node->op->unit_axis == 0)
        add_maps(terms, count, unit_count, numel / unit_count);
    else
        add_features(terms, count, unit_count, numel / unit_count);
}
