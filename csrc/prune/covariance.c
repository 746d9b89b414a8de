#include "prune/covariance.h"

#include "base/memory.h"
#include "base/random.h"
#include "base/size.h"
#include "kernel/gram.h"

enum { BLOCK = 16 };

sc_status sc_covariance_create(sc_covariance **out, size_t units, sc_error *error) {
    void *memory;
    *out = NULL;
    SC_TRY(sc_memory_calloc(&memory, 1, sizeof(sc_covariance), error));
    sc_covariance *c = memory;
    size_t square = 0, rows = 0;
    c->units = units;
    sc_status status = SC_OK;
    if (!sc_size_multiply(&square, units, units) || !sc_size_multiply(&rows, units, SC_COVARIANCE_ROWS))
        status = sc_error_set(error, SC_ERROR_MEMORY, "covariance: %zu units are too many", units);
    if (status == SC_OK && (status = sc_memory_calloc(&memory, square, sizeof(double), error)) == SC_OK)
        c->gram = memory;
    if (status == SC_OK && (status = sc_memory_calloc(&memory, units, sizeof(double), error)) == SC_OK)
        c->sum = memory;
    if (status == SC_OK && (status = sc_memory_calloc(&memory, units, sizeof(sc_real), error)) == SC_OK)
        c->shift = memory;
    if (status == SC_OK && (status = sc_memory_alloc(&memory, rows, sizeof(sc_real), error)) == SC_OK)
        c->rows = memory;
    if (status != SC_OK)
        sc_covariance_destroy(c);
    else
        *out = c;
    return status;
}

void sc_covariance_destroy(sc_covariance *c) {
    if (!c)
        return;
    sc_memory_free(c->gram);
    sc_memory_free(c->sum);
    sc_memory_free(c->shift);
    sc_memory_free(c->rows);
    sc_memory_free(c);
}

/* ---- rows ---- */

/* `count` of 0 .. total - 1 in ascending order, each set equally likely (Knuth, TAOCP 3.4.2, algorithm S). */
static void draw_positions(size_t *positions, size_t count, size_t total, uint64_t seed, size_t image) {
    sc_random random;
    sc_random_seed(&random, seed, image);
    for (size_t p = 0, taken = 0; taken < count; p++)
        if (count == total || sc_random_below(&random, total - p) < count - taken)
            positions[taken++] = p;
}

/* Copies one image's rows of some neighbouring units. */
static void copy_block(sc_real *rows, const sc_unit_values *batch, const sc_real *image, size_t units, size_t first,
                       const size_t *positions, size_t count) {
    size_t last = sc_min(first + BLOCK, units);
    if (batch->maps) {
        for (size_t u = first; u < last; u++)
            for (size_t i = 0; i < count; i++)
                rows[i * units + u] = image[u * batch->positions + positions[i]];
        return;
    }
    for (size_t i = 0; i < count; i++)
        for (size_t u = first; u < last; u++)
            rows[i * units + u] = image[positions[i] * units + u];
}

static void copy_rows(sc_real *rows, const sc_unit_values *batch, const sc_real *image, size_t units,
                      const size_t *positions, size_t count) {
#pragma omp parallel for schedule(static) if (units * count > 65536)
    for (size_t first = 0; first < units; first += BLOCK)
        copy_block(rows, batch, image, units, first, positions, count);
}

/* The mean of the first image's rows, rounded: any number near the mean will do, as long as it is always the same. */
static void find_shift(sc_covariance *c, const sc_unit_values *batch, const size_t *positions, size_t count) {
    for (size_t u = 0; u < c->units; u++) {
        double sum = 0;
        for (size_t i = 0; i < count; i++)
            sum += (double)(batch->maps ? batch->values[u * batch->positions + positions[i]]
                                        : batch->values[positions[i] * c->units + u]);
        c->shift[u] = (sc_real)(sum / (double)count);
    }
    c->shifted = true;
}

/* Shifts the waiting rows and adds them up, for some neighbouring units. */
static void sum_rows(sc_covariance *c, size_t first, size_t count) {
    for (size_t r = 0; r < c->waiting; r++) {
        sc_real *row = c->rows + r * c->units;
        for (size_t u = first; u < first + count; u++) {
            row[u] -= c->shift[u];
            c->sum[u] += (double)row[u];
        }
    }
}

/* Moves the waiting rows into the sums. */
static sc_status flush(sc_covariance *c, sc_error *error) {
    const size_t units = c->units;
#pragma omp parallel for schedule(static) if (units * c->waiting > 65536)
    for (size_t first = 0; first < units; first += BLOCK)
        sum_rows(c, first, sc_min(BLOCK, units - first));
    sc_gram gram = {.terms = c->waiting, .m = units, .a = c->rows, .lda = units, .sum = c->gram, .ld = units};
    c->waiting = 0;
    return sc_gram_add(&gram, error);
}

static sc_status add_image(sc_covariance *c, const sc_unit_values *batch, size_t image, size_t *positions,
                           sc_error *error) {
    size_t count = sc_min(batch->most, batch->positions);
    const sc_real *values = batch->values + image * c->units * batch->positions;
    draw_positions(positions, count, batch->positions, batch->seed, c->images);
    if (!c->shifted)
        find_shift(c, batch, positions, count);
    for (size_t done = 0, part; done < count; done += part) {
        part = sc_min(count - done, SC_COVARIANCE_ROWS - c->waiting);
        copy_rows(c->rows + c->waiting * c->units, batch, values, c->units, positions + done, part);
        c->waiting += part;
        if (c->waiting == SC_COVARIANCE_ROWS)
            SC_TRY(flush(c, error));
    }
    c->count += count;
    c->images++;
    return SC_OK;
}

sc_status sc_covariance_add(sc_covariance *c, const sc_unit_values *batch, sc_error *error) {
    void *positions;
    if (batch->most == 0 || batch->positions == 0)
        return SC_OK;
    SC_TRY(sc_memory_alloc(&positions, batch->positions, sizeof(size_t), error));
    sc_status status = SC_OK;
    for (size_t image = 0; image < batch->images && status == SC_OK; image++)
        status = add_image(c, batch, image, positions, error);
    sc_memory_free(positions);
    return status;
}

static sc_status complete(sc_covariance *c, sc_error *error) {
    if (c->count == 0)
        return sc_error_set(error, SC_ERROR_ARGUMENT, "covariance: expected at least one row, got none");
    return flush(c, error);
}

static double entry(const sc_covariance *c, size_t u, size_t v) {
    const double count = (double)c->count;
    return c->gram[u * c->units + v] / count - c->sum[u] / count * (c->sum[v] / count);
}

sc_status sc_covariance_read(sc_covariance *c, double *mean, double *matrix, sc_error *error) {
    const size_t units = c->units;
    SC_TRY(complete(c, error));
    for (size_t u = 0; mean && u < units; u++)
        mean[u] = (double)c->shift[u] + c->sum[u] / (double)c->count;
#pragma omp parallel for schedule(static) if (units > 256)
    for (size_t u = 0; u < (matrix ? units : 0); u++)
        for (size_t v = 0; v < units; v++)
            matrix[u * units + v] = entry(c, u, v);
    return SC_OK;
}

sc_status sc_covariance_variances(sc_covariance *c, double *variance, sc_error *error) {
    SC_TRY(complete(c, error));
    for (size_t u = 0; u < c->units; u++)
        variance[u] = entry(c, u, u);
    return SC_OK;
}
