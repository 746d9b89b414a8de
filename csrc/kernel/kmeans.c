#include "kernel/kmeans.h"

#include "base/interrupt.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/size.h"
#include "kernel/reduce.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { SMALL = 32768 };

/* Relative: features are computed to about this, in whatever order. */
static const double ROW_ERROR = 0x1p-20;

typedef struct kmeans {
    const sc_real *x; /* [n x d] */
    size_t n, d, k;
    sc_real *centroids; /* [k x d] */
    size_t *assignment; /* [n] */
    double *distance;   /* [n] squared, to the row's own centroid */
    size_t *count;      /* [k] rows of each cluster */
    double *sum;        /* [k x d] */
} kmeans;

static double distance_between(const sc_real *a, const sc_real *b, size_t d) {
    sc_real squares;
    SC_REDUCE_SUM(squares, d, i, (a[i] - b[i]) * (a[i] - b[i]));
    return (double)squares;
}

/* A row drawn with probability distance / total; any row when all stand on a centroid (or the total overflows). */
static size_t draw_row(const kmeans *m, sc_random *random) {
    double total = 0, passed = 0;
    for (size_t i = 0; i < m->n; i++)
        total += m->distance[i];
    if (!(total > 0 && total <= DBL_MAX))
        return (size_t)sc_random_below(random, m->n);
    double wanted = sc_random_uniform(random) * total;
    size_t last = 0;
    for (size_t i = 0; i < m->n; i++) {
        if (m->distance[i] > 0)
            last = i;
        passed += m->distance[i];
        if (passed > wanted)
            return i;
    }
    return last;
}

static void place_centroid(kmeans *m, size_t c, size_t row) {
    memcpy(m->centroids + c * m->d, m->x + row * m->d, m->d * sizeof *m->x);
}

static void seed_centroids(kmeans *m, sc_random *random) {
    place_centroid(m, 0, (size_t)sc_random_below(random, m->n));
    for (size_t i = 0; i < m->n; i++)
        m->distance[i] = INFINITY;
    for (size_t c = 1; c < m->k; c++) {
        const sc_real *latest = m->centroids + (c - 1) * m->d;
#pragma omp parallel for schedule(static) if (m->n * m->d > SMALL)
        for (size_t i = 0; i < m->n; i++) {
            double distance = distance_between(m->x + i * m->d, latest, m->d);
            if (distance < m->distance[i])
                m->distance[i] = distance;
        }
        place_centroid(m, c, draw_row(m, random));
    }
}

/* Gives each row its nearest centroid, the first of equals. */
static void assign(kmeans *m) {
#pragma omp parallel for schedule(static) if (m->n * m->d * m->k > SMALL)
    for (size_t i = 0; i < m->n; i++) {
        size_t best = 0;
        double min = INFINITY;
        for (size_t c = 0; c < m->k; c++) {
            double distance = distance_between(m->x + i * m->d, m->centroids + c * m->d, m->d);
            if (distance < min) {
                min = distance;
                best = c;
            }
        }
        m->assignment[i] = best;
        m->distance[i] = min;
    }
}

/* The row farthest from its centroid among clusters that can spare one. There is one while n >= k. */
static size_t farthest_row(const kmeans *m) {
    size_t found = 0;
    double max = -1;
    for (size_t i = 0; i < m->n; i++)
        if (m->count[m->assignment[i]] > 1 && m->distance[i] > max) {
            max = m->distance[i];
            found = i;
        }
    return found;
}

static void fill_empty(kmeans *m) {
    memset(m->count, 0, m->k * sizeof *m->count);
    for (size_t i = 0; i < m->n; i++)
        m->count[m->assignment[i]]++;
    for (size_t c = 0; c < m->k; c++) {
        if (m->count[c] > 0)
            continue;
        size_t row = farthest_row(m);
        m->count[m->assignment[row]]--;
        m->assignment[row] = c;
        m->count[c] = 1;
        m->distance[row] = 0;
    }
}

/* A thread per cluster, rows in order, so that the sums do not depend on the threads. */
static void update(kmeans *m) {
#pragma omp parallel for schedule(static) if (m->n * m->d > SMALL)
    for (size_t c = 0; c < m->k; c++) {
        double *sum = m->sum + c * m->d;
        memset(sum, 0, m->d * sizeof *sum);
        for (size_t i = 0; i < m->n; i++)
            if (m->assignment[i] == c)
                for (size_t j = 0; j < m->d; j++)
                    sum[j] += (double)m->x[i * m->d + j];
        for (size_t j = 0; j < m->d; j++)
            m->centroids[c * m->d + j] = (sc_real)(sum[j] / (double)m->count[c]);
    }
}

/* The centroids at the end are the means of the last assignment, whichever way it ends. */
static sc_status iterate(kmeans *m, size_t *before, sc_error *error) {
    for (int round = 0; round < SC_KMEANS_ITERATIONS; round++) {
        SC_TRY(sc_interrupt_check(error));
        memcpy(before, m->assignment, m->n * sizeof *before);
        assign(m);
        fill_empty(m);
        if (round > 0 && memcmp(before, m->assignment, m->n * sizeof *before) == 0)
            break;
        update(m);
    }
    return SC_OK;
}

/* Squared distance of a row to the mean of its cluster, in double: a mean that was rounded would decide where rows are
 * equally near. */
static double distance_to_mean(const kmeans *m, size_t row) {
    size_t c = m->assignment[row];
    const double *sum = m->sum + c * m->d;
    double squares = 0;
    for (size_t j = 0; j < m->d; j++) {
        double apart = (double)m->x[row * m->d + j] - sum[j] / (double)m->count[c];
        squares += apart * apart;
    }
    return squares;
}

/* How much larger a squared distance may be than the least of a cluster to be told from it no more: what rows are off
 * by their own rounding, some units in the last place of the mean's length. */
static double tolerance(const kmeans *m, size_t c, double least) {
    double squares = 0;
    for (size_t j = 0; j < m->d; j++) {
        double mean = m->sum[c * m->d + j] / (double)m->count[c];
        squares += mean * mean;
    }
    return ROW_ERROR * (2 * sqrt(least) * sqrt(squares) + least);
}

/* Of each cluster the first of the rows that are as near to its mean as any. limit[k] is scratch; distances are left
 * behind. */
static void find_nearest(const kmeans *m, size_t *nearest, double *limit) {
    for (size_t c = 0; c < m->k; c++)
        limit[c] = INFINITY, nearest[c] = m->n;
    for (size_t i = 0; i < m->n; i++) {
        m->distance[i] = distance_to_mean(m, i);
        if (m->distance[i] < limit[m->assignment[i]])
            limit[m->assignment[i]] = m->distance[i];
    }
    for (size_t c = 0; c < m->k; c++)
        limit[c] += tolerance(m, c, limit[c]);
    for (size_t i = m->n; i-- > 0;)
        if (nearest[m->assignment[i]] == m->n || m->distance[i] <= limit[m->assignment[i]])
            nearest[m->assignment[i]] = i;
}

sc_status sc_kmeans(sc_kmeans_result *out, const sc_real *x, size_t n, size_t d, size_t k, uint64_t seed,
                    sc_error *error) {
    kmeans m = {.x = x, .n = n, .d = d, .k = k, .centroids = out->centroids, .assignment = out->assignment};
    void *distance = NULL, *count = NULL, *sum = NULL, *before = NULL, *limit = NULL;
    size_t cells = 0;
    sc_random random;
    sc_random_seed(&random, seed, 0);
    memset(m.assignment, 0, n * sizeof *m.assignment);
    sc_status status = SC_OK;
    if (!sc_size_multiply(&cells, k, d))
        status = sc_error_set(error, SC_ERROR_MEMORY, "kmeans: too many centroids");
    if (status == SC_OK)
        status = sc_memory_alloc(&distance, n, sizeof *m.distance, error);
    if (status == SC_OK)
        status = sc_memory_alloc(&before, n, sizeof *m.assignment, error);
    if (status == SC_OK)
        status = sc_memory_alloc(&count, k, sizeof *m.count, error);
    if (status == SC_OK)
        status = sc_memory_alloc(&sum, cells, sizeof *m.sum, error);
    if (status == SC_OK)
        status = sc_memory_alloc(&limit, k, sizeof(double), error);
    if (status == SC_OK) {
        m.distance = distance, m.count = count, m.sum = sum;
        seed_centroids(&m, &random);
        status = iterate(&m, before, error);
    }
    if (status == SC_OK)
        find_nearest(&m, out->nearest, limit);
    sc_memory_free(limit);
    sc_memory_free(sum);
    sc_memory_free(count);
    sc_memory_free(before);
    sc_memory_free(distance);
    return status;
}
