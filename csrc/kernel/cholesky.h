/* Cholesky factorisation of symmetric positive definite matrices, and solutions with it; in double precision, blocked,
 * on all threads. Every sum is one chain in ascending order, of products and sums that are rounded each, so that its
 * bits depend neither on vectors nor on threads. */
#ifndef SC_KERNEL_CHOLESKY_H
#define SC_KERNEL_CHOLESKY_H

#include "base/status.h"

#include <stddef.h>

/* Overwrites the lower triangle of a[n x n] (row-major; the upper one is not read and keeps what it holds) with L,
 * L L^T = a. SC_ERROR_ARGUMENT where a pivot is not a positive finite number: the matrix is not positive definite, or
 * holds what is no number; a is then partly overwritten. Looks at Ctrl-C between blocks. */
sc_status sc_cholesky_factor(double *a, size_t n, sc_error *error);

/* Overwrites b[n x columns] (row-major) with the solution x of L L^T x = b, L in the lower triangle of l[n x n]. */
sc_status sc_cholesky_solve(const double *l, size_t n, double *b, size_t columns, sc_error *error);

#endif
