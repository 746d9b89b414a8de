/* k-means clustering of rows. */
#ifndef SC_KERNEL_KMEANS_H
#define SC_KERNEL_KMEANS_H

#include "base/real.h"
#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

enum { SC_KMEANS_ITERATIONS = 100 };

/* What clustering rows[n x d] gives; clusters and rows count from 0. */
typedef struct sc_kmeans_result {
    sc_real *centroids; /* [k x d]: means of the rows of each cluster */
    size_t *assignment; /* [n]: cluster of each row */
    size_t *nearest;    /* [k]: the row of each cluster that is nearest to its centroid, so that all are different; the
                           first of rows whose distances differ by no more than rows are rounded */
} sc_kmeans_result;

/* Lloyd's algorithm from a k-means++ start (Arthur and Vassilvitskii 2007), until no row changes its cluster or for
 * SC_KMEANS_ITERATIONS rounds. No cluster is left empty: one that would be gets the row farthest from its own centroid.
 * Ties go to the lower index, and the result depends on the rows x[n x d], k and the seed alone, not on the number of
 * threads. Needs 1 <= k <= n and finite x. Errors: no memory, or the user's interrupt. */
sc_status sc_kmeans(sc_kmeans_result *out, const sc_real *x, size_t n, size_t d, size_t k, uint64_t seed,
                    sc_error *error);

#endif
