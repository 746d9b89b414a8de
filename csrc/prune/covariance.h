/* Means and centred covariances of the units of a node, from many images. */
#ifndef SC_PRUNE_COVARIANCE_H
#define SC_PRUNE_COVARIANCE_H

#include "base/real.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Sums over rows, a row being the values of all units at one position of one image. Rows are collected and added
 * SC_COVARIANCE_ROWS at a time, so that nothing depends on how images are batched. They are taken relative to the means
 * of the first image, without which squares of large means would drown small variances. */
typedef struct sc_covariance {
    size_t units;
    size_t images; /* that have been added */
    size_t count;  /* rows that have been added, those that wait among them */
    sc_real *rows; /* [SC_COVARIANCE_ROWS x units]: the `waiting` first are not in the sums yet */
    size_t waiting;
    bool shifted;
    sc_real *shift; /* [units] */
    double *sum;    /* [units]: of the shifted rows */
    double *gram;   /* [units x units]: of their products */
} sc_covariance;

enum { SC_COVARIANCE_ROWS = 512 };

/* *out gets sums over nothing. */
sc_status sc_covariance_create(sc_covariance **out, size_t units, sc_error *error);

/* NULL is allowed. */
void sc_covariance_destroy(sc_covariance *c);

/* The values of one batch, [images x units x positions] (maps), or [images x positions x units] (tokens, vectors). */
typedef struct sc_unit_values {
    const sc_real *values;
    size_t images, positions;
    bool maps;
    size_t most; /* positions taken of an image; where there are more, drawn from (seed, number of the image) */
    uint64_t seed;
} sc_unit_values;

/* Adds the rows of a batch. Errors: no memory, or the user's interrupt, which leaves the sums useless. */
sc_status sc_covariance_add(sc_covariance *c, const sc_unit_values *batch, sc_error *error);

/* mean[units], matrix[units x units] (either may be NULL): of all rows so far, the matrix divided by their number and
 * symmetric. Errors: no row, no memory, the user's interrupt. */
sc_status sc_covariance_read(sc_covariance *c, double *mean, double *matrix, sc_error *error);

/* variance[units]: the diagonal of the matrix. */
sc_status sc_covariance_variances(sc_covariance *c, double *variance, sc_error *error);

#endif
