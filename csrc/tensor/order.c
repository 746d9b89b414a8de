#include "tensor/order.h"

#include "base/interrupt.h"
#include "base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A shape seen from one dimension: [outer x size x inner]. */
typedef struct axis {
    size_t outer, size, inner;
} axis;

static axis axis_of(const sc_shape *shape, int dimension) {
    axis a = {1, shape->size[dimension], 1};
    for (int d = 0; d < shape->ndim; d++)
        if (d != dimension)
            *(d < dimension ? &a.outer : &a.inner) *= shape->size[d];
    return a;
}

/* ---- sorting ---- */

/* The key is negated for descending order; -0 and 0 stay equal. */
typedef struct entry {
    sc_real key;
    size_t index;
} entry;

static int compare(const void *left, const void *right) {
    const entry *a = left, *b = right;
    if (isnan(a->key) || isnan(b->key)) {
        if (isnan(a->key) != isnan(b->key))
            return isnan(a->key) ? 1 : -1;
    } else if (a->key != b->key) {
        return a->key < b->key ? -1 : 1;
    }
    return a->index < b->index ? -1 : 1;
}

/* Sorts the `o, i`-th line along the axis into entries. */
static void sort_line(entry *entries, const sc_real *x, const axis *a, size_t o, size_t i, bool descending) {
    for (size_t k = 0; k < a->size; k++) {
        sc_real value = x[(o * a->size + k) * a->inner + i];
        entries[k] = (entry){descending ? -value : value, k};
    }
    qsort(entries, a->size, sizeof *entries, compare);
}

static void write_order(int64_t *out, const entry *entries, size_t count, size_t stride) {
    for (size_t k = 0; k < count; k++)
        out[k * stride] = (int64_t)entries[k].index + 1;
}

static void write_ranks(sc_real *out, const entry *entries, size_t count, size_t stride, sc_ties ties) {
    for (size_t first = 0, next; first < count; first = next) {
        next = first + 1;
        if (ties == SC_TIES_AVERAGE)
            while (next < count && entries[next].key == entries[first].key)
                next++;
        double rank = isnan(entries[first].key) ? (double)NAN : ((double)first + 1 + (double)next) / 2;
        for (size_t k = first; k < next; k++)
            out[entries[k].index * stride] = (sc_real)rank;
    }
}

/* Both of what a sorted line can become; ties matter to ranks, descending to the order. Ctrl-C stops it between two
 * lines. */
static sc_status sort_lines(sc_tensor *out, const sc_tensor *x, int dimension, bool descending, sc_ties ties,
                            sc_error *error) {
    axis a = axis_of(&x->shape, dimension);
    void *scratch;
    SC_TRY(sc_memory_alloc(&scratch, a.size, sizeof(entry), error));
    sc_status status = SC_OK;
    for (size_t o = 0; o < a.outer && status == SC_OK; o++)
        for (size_t i = 0; i < a.inner && a.size > 0 && (status = sc_interrupt_check(error)) == SC_OK; i++) {
            size_t start = o * a.size * a.inner + i;
            sort_line(scratch, sc_tensor_real(x), &a, o, i, descending);
            if (out->dtype == SC_INT64)
                write_order(sc_tensor_int64(out) + start, scratch, a.size, a.inner);
            else
                write_ranks(sc_tensor_real(out) + start, scratch, a.size, a.inner, ties);
        }
    sc_memory_free(scratch);
    return status;
}

sc_status sc_tensor_argsort(sc_tensor *out, const sc_tensor *x, int dimension, bool descending, sc_error *error) {
    SC_TRY(sc_tensor_create(out, SC_INT64, &x->shape, error));
    return sort_lines(out, x, dimension, descending, SC_TIES_FIRST, error);
}

sc_status sc_tensor_rank(sc_tensor *out, const sc_tensor *x, int dimension, sc_ties ties, sc_error *error) {
    SC_TRY(sc_tensor_create(out, SC_REAL, &x->shape, error));
    return sort_lines(out, x, dimension, false, ties, error);
}

/* ---- regrouping ---- */

static sc_status check_range(const int64_t *index, size_t count, size_t size, const char *name, sc_error *error) {
    for (size_t k = 0; k < count; k++)
        if (index[k] < 1 || (uint64_t)index[k] > size)
            return sc_error_set(error, SC_ERROR_ARGUMENT, "%s: expected whole numbers in 1..%zu, got %lld", name, size,
                                (long long)index[k]);
    return SC_OK;
}

static sc_status resize_dimension(sc_shape *out, const sc_shape *shape, int dimension, size_t size, sc_error *error) {
    sc_shape wanted = *shape;
    wanted.size[dimension] = size;
    return sc_shape_init(out, wanted.ndim, wanted.size, error);
}

sc_status sc_tensor_take(sc_tensor *out, const sc_tensor *x, int dimension, const int64_t *index, size_t count,
                         sc_error *error) {
    axis a = axis_of(&x->shape, dimension);
    sc_shape shape;
    SC_TRY(check_range(index, count, a.size, "indices", error));
    SC_TRY(resize_dimension(&shape, &x->shape, dimension, count, error));
    SC_TRY(sc_tensor_create(out, x->dtype, &shape, error));
    size_t bytes = sc_dtype_size(x->dtype) * a.inner;
    char *to = sc_tensor_data(out);
    const char *from = sc_tensor_data(x);
    for (size_t o = 0; o < a.outer; o++)
        for (size_t k = 0; k < count; k++)
            memcpy(to + (o * count + k) * bytes, from + (o * a.size + (size_t)index[k] - 1) * bytes, bytes);
    return SC_OK;
}

sc_status sc_tensor_sum_groups(sc_tensor *out, const sc_tensor *x, int dimension, const int64_t *group, size_t groups,
                               sc_error *error) {
    axis a = axis_of(&x->shape, dimension);
    sc_shape shape;
    void *sums;
    SC_TRY(check_range(group, a.size, groups, "groups", error));
    SC_TRY(resize_dimension(&shape, &x->shape, dimension, groups, error));
    SC_TRY(sc_tensor_create(out, SC_REAL, &shape, error));
    SC_TRY(sc_memory_alloc(&sums, groups, sizeof(double), error));
    double *sum = sums;
    const sc_real *from = sc_tensor_real(x);
    for (size_t o = 0; o < a.outer; o++)
        for (size_t i = 0; i < a.inner; i++) {
            for (size_t g = 0; g < groups; g++)
                sum[g] = 0;
            for (size_t k = 0; k < a.size; k++)
                sum[group[k] - 1] += (double)from[(o * a.size + k) * a.inner + i];
            for (size_t g = 0; g < groups; g++)
                sc_tensor_real(out)[(o * groups + g) * a.inner + i] = (sc_real)sum[g];
        }
    sc_memory_free(sums);
    return SC_OK;
}
