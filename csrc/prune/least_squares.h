/* Linear layers refitted by ridge regression: weights that make of given inputs what is nearest to given outputs, and
 * no further from the weights that are there than that is worth. */
#ifndef SC_PRUNE_LEAST_SQUARES_H
#define SC_PRUNE_LEAST_SQUARES_H

#include "base/real.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

/* With x and y less their means, D = (x^T x + ridge * d I)^-1 x^T (y - x w^T), where d is the mean of the diagonal of
 * x^T x over the columns that are live; w += D^T, bias = mean y - w mean x. Columns that are zero in every row are not
 * live, and their weights stay. Where live columns outnumber rows the same is computed from x x^T.
 *
 * With `rectified`, a ReLU follows: it does not matter by how much an output is below the threshold if it should be. So
 * `passes` times y is set to min(what the fit gives, threshold) where y < threshold, and D is solved for again. */
typedef struct sc_least_squares {
    size_t rows, columns, units;
    sc_real *x;               /* [rows x columns]; overwritten */
    sc_real *y;               /* [rows x units]; overwritten */
    const sc_real *threshold; /* [rows x units] (optional; NULL: 0 everywhere) */
    const bool *keep;         /* [units] (optional): the weights and biases of others stay as they are */
    sc_real *weight;          /* [units x columns]: w, in and out */
    sc_real *bias;            /* [units], out; NULL: there is none, and no mean is taken off */
    double ridge;
    bool rectified;
    size_t passes;
    /* found */
    size_t live;          /* columns */
    double before, after; /* mean squares of y - (w x + bias) over the rows: with the old bias's best, and of the fit */
} sc_least_squares;

/* Fits. SC_ERROR_ARGUMENT where x or y holds what is no finite number, or the system is singular: ridge = 0 with
 * columns that depend on each other. */
sc_status sc_least_squares_fit(sc_least_squares *problem, sc_error *error);

/* The means and (biased) variances of the columns of x[rows x columns], each sum in the order of the rows. */
void sc_column_moments(double *mean, double *variance, const sc_real *x, size_t rows, size_t columns);

#endif
