#include "tensor/math.h"

#include "kernel/reduce.h"

#include <math.h>

static sc_real apply_op(sc_binary_op op, sc_real a, sc_real b) {
    switch (op) {
    case SC_ADD:
        return a + b;
    case SC_SUBTRACT:
        return a - b;
    case SC_MULTIPLY:
        return a * b;
    case SC_DIVIDE:
        return a / b;
    }
    return 0;
}

/* Strides of x as if it had the shape `out`: 0 where it stretches. */
static bool broadcast_strides(size_t strides[SC_MAX_DIMS], const sc_shape *x, const sc_shape *out) {
    size_t stride = 1;
    for (int d = out->ndim - 1, e = x->ndim - 1; d >= 0; d--, e--) {
        size_t size = e >= 0 ? x->size[e] : 1;
        if (size != out->size[d] && size != 1)
            return false;
        strides[d] = size == 1 ? 0 : stride;
        stride *= size;
    }
    return true;
}

static sc_shape broadcast_shape(const sc_shape *a, const sc_shape *b) {
    sc_shape out = {.ndim = a->ndim > b->ndim ? a->ndim : b->ndim};
    for (int d = out.ndim - 1, i = a->ndim - 1, j = b->ndim - 1; d >= 0; d--, i--, j--) {
        size_t x = i >= 0 ? a->size[i] : 1, y = j >= 0 ? b->size[j] : 1;
        out.size[d] = x == 1 ? y : x;
    }
    return out;
}

sc_status sc_tensor_binary(sc_tensor *out, sc_binary_op op, const sc_tensor *a, const sc_tensor *b, sc_error *error) {
    char left[SC_SHAPE_TEXT], right[SC_SHAPE_TEXT];
    sc_shape shape = broadcast_shape(&a->shape, &b->shape);
    size_t sa[SC_MAX_DIMS] = {0}, sb[SC_MAX_DIMS] = {0}, at[SC_MAX_DIMS] = {0};
    if (!broadcast_strides(sa, &a->shape, &shape) || !broadcast_strides(sb, &b->shape, &shape))
        return sc_error_set(error, SC_ERROR_ARGUMENT, "shapes %s and %s are not broadcastable",
                            sc_shape_format(left, &a->shape), sc_shape_format(right, &b->shape));
    SC_TRY(sc_shape_init(&shape, shape.ndim, shape.size, error));
    SC_TRY(sc_tensor_create(out, SC_REAL, &shape, error));
    const sc_real *x = sc_tensor_real(a), *y = sc_tensor_real(b);
    sc_real *z = sc_tensor_real(out);
    size_t numel = sc_tensor_numel(out), i = 0, j = 0;
    for (size_t n = 0; n < numel; n++) {
        z[n] = apply_op(op, x[i], y[j]);
        for (int d = shape.ndim - 1; d >= 0; d--) {
            i += sa[d];
            j += sb[d];
            if (++at[d] < shape.size[d])
                break;
            i -= sa[d] * at[d];
            j -= sb[d] * at[d];
            at[d] = 0;
        }
    }
    return SC_OK;
}

/* x as [outer x size x inner] about a dimension; the result is [outer x inner]. */
static sc_shape reduce_shape(const sc_shape *shape, int dimension, size_t *outer, size_t *inner) {
    sc_shape out = {.ndim = shape->ndim - 1};
    *outer = *inner = 1;
    for (int d = 0, e = 0; d < shape->ndim; d++) {
        if (d == dimension)
            continue;
        *(d < dimension ? outer : inner) *= shape->size[d];
        out.size[e++] = shape->size[d];
    }
    return out;
}

/* -inf where there is none, NaN where one is. */
static double max_of(const sc_real *x, size_t count, size_t stride) {
    double max = -INFINITY;
    for (size_t i = 0; i < count; i++) {
        double value = (double)x[i * stride];
        max = value > max || isnan(value) ? value : max;
    }
    return max;
}

static double reduce(sc_reduction reduction, const sc_real *x, size_t count, size_t stride) {
    if (reduction == SC_MAX)
        return max_of(x, count, stride);
    double sum = sc_reduce_strided64(x, count, stride);
    return reduction == SC_MEAN ? sum / (double)count : sum;
}

sc_status sc_tensor_reduce(sc_tensor *out, sc_reduction reduction, const sc_tensor *x, int dimension, sc_error *error) {
    size_t outer, inner, size = x->shape.size[dimension];
    sc_shape shape = reduce_shape(&x->shape, dimension, &outer, &inner);
    SC_TRY(sc_tensor_create(out, SC_REAL, &shape, error));
    for (size_t o = 0; o < outer; o++)
        for (size_t i = 0; i < inner; i++)
            sc_tensor_real(out)[o * inner + i] =
                (sc_real)reduce(reduction, sc_tensor_real(x) + o * size * inner + i, size, inner);
    return SC_OK;
}

sc_status sc_tensor_argmax(sc_tensor *out, const sc_tensor *x, int dimension, sc_error *error) {
    size_t outer, inner, size = x->shape.size[dimension];
    sc_shape shape = reduce_shape(&x->shape, dimension, &outer, &inner);
    if (size == 0)
        return sc_error_set(error, SC_ERROR_ARGUMENT, "argmax: expected a dimension with elements");
    SC_TRY(sc_tensor_create(out, SC_INT64, &shape, error));
    for (size_t o = 0; o < outer; o++)
        for (size_t i = 0; i < inner; i++) {
            const sc_real *values = sc_tensor_real(x) + o * size * inner + i;
            size_t best = 0;
            for (size_t k = 1; k < size; k++)
                if (values[k * inner] > values[best * inner])
                    best = k;
            sc_tensor_int64(out)[o * inner + i] = (int64_t)best + 1;
        }
    return SC_OK;
}

double sc_tensor_reduce_all(sc_reduction reduction, const sc_tensor *x) {
    return reduce(reduction, sc_tensor_real(x), sc_tensor_numel(x), 1);
}
