#include "prune/least_squares.h"

#include "base/interrupt.h"
#include "base/memory.h"
#include "base/size.h"
#include "kernel/cholesky.h"
#include "kernel/gemm.h"
#include "kernel/gram.h"

#include <math.h>
#include <stdint.h>

enum { LINE = 16, MAX_PARTS = 16 };

/* The problem without what takes no part: rows x live columns and kept units, at the beginning of the problem's own
 * arrays. */
typedef struct fit {
    sc_least_squares *p;
    size_t rows, columns, units;
    size_t *column, *unit;   /* where they stand in the problem's */
    double *x_mean, *y_mean; /* zero where there is no bias */
    double *variance;        /* of columns, unused */
    sc_real *weight;         /* [units x columns] w */
    sc_real *base;           /* [rows x units] x w^T */
    sc_real *fitted;         /* [rows x units] what the change adds to it */
    sc_real *residual;       /* [rows x units] y - mean - base */
    sc_real *change;         /* [columns x units] D */
    sc_real *threshold;      /* [rows x units], where the problem has it */
    bool dual;               /* rows are fewer than columns */
    size_t size;             /* the lesser of both */
    double *factor;          /* [size x size] of the normal equations */
    double *solution;        /* [size x units] */
    sc_real *product;        /* [size x size] or [size x units] */
    void *scratch;           /* of products */
    void *parts[MAX_PARTS];
    size_t part_count;
} fit;

/* a * b elements that live as long as the fit. */
static sc_status new_part(void *out, fit *f, size_t a, size_t b, size_t size, sc_error *error) {
    size_t count;
    void *memory;
    if (!sc_size_multiply(&count, a, b) || count == SIZE_MAX)
        return sc_error_set(error, SC_ERROR_MEMORY, "least_squares: %zu x %zu numbers do not fit the address space", a,
                            b);
    SC_TRY(sc_memory_alloc(&memory, count + 1, size, error));
    f->parts[f->part_count++] = memory;
    *(void **)out = memory;
    return SC_OK;
}

static void free_parts(fit *f) {
    for (size_t i = 0; i < f->part_count; i++)
        sc_memory_free(f->parts[i]);
}

void sc_column_moments(double *mean, double *variance, const sc_real *x, size_t rows, size_t columns) {
#pragma omp parallel for schedule(static)
    for (size_t first = 0; first < columns; first += LINE) {
        size_t width = sc_min(LINE, columns - first);
        double sum[LINE] = {0}, squares[LINE] = {0};
        for (size_t r = 0; r < rows; r++)
            for (size_t j = 0; j < width; j++)
                sum[j] += (double)x[r * columns + first + j];
        for (size_t j = 0; j < width; j++)
            mean[first + j] = sum[j] / (double)rows;
        for (size_t r = 0; variance && r < rows; r++)
            for (size_t j = 0; j < width; j++) {
                double apart = (double)x[r * columns + first + j] - mean[first + j];
                squares[j] += apart * apart;
            }
        for (size_t j = 0; variance && j < width; j++)
            variance[first + j] = squares[j] / (double)rows;
    }
}

/* ---- what takes part ---- */

static sc_status find_columns(fit *f, sc_error *error) {
    sc_least_squares *p = f->p;
    sc_column_moments(f->x_mean, f->variance, p->x, p->rows, p->columns);
    for (size_t c = 0; c < p->columns; c++) {
        if (!isfinite(f->x_mean[c]) || !isfinite(f->variance[c]))
            return sc_error_set(error, SC_ERROR_ARGUMENT, "least_squares: x: expected finite numbers");
        if (f->x_mean[c] == 0 && f->variance[c] == 0)
            continue;
        f->column[f->columns] = c;
        f->x_mean[f->columns++] = p->bias ? f->x_mean[c] : 0;
    }
    return SC_OK;
}

/* Moves the live columns together, less their means. Rows go from where they are to before it. */
static void pack_x(fit *f) {
    sc_real *to = f->p->x;
    for (size_t r = 0; r < f->rows; r++) {
        const sc_real *from = f->p->x + r * f->p->columns;
        for (size_t k = 0; k < f->columns; k++)
            *to++ = (sc_real)((double)from[f->column[k]] - f->x_mean[k]);
    }
}

static void pack_units(fit *f, sc_real *x) {
    sc_real *to = x;
    for (size_t r = 0; r < f->rows; r++)
        for (size_t k = 0; k < f->units; k++)
            *to++ = x[r * f->p->units + f->unit[k]];
}

static void pack_weight(fit *f) {
    for (size_t u = 0; u < f->units; u++)
        for (size_t k = 0; k < f->columns; k++)
            f->weight[u * f->columns + k] = f->p->weight[f->unit[u] * f->p->columns + f->column[k]];
}

static sc_status select_parts(fit *f, sc_error *error) {
    sc_least_squares *p = f->p;
    SC_TRY(new_part(&f->column, f, p->columns, 1, sizeof(size_t), error));
    SC_TRY(new_part(&f->unit, f, p->units, 1, sizeof(size_t), error));
    SC_TRY(new_part(&f->x_mean, f, p->columns, 1, sizeof(double), error));
    SC_TRY(new_part(&f->y_mean, f, p->units, 1, sizeof(double), error));
    SC_TRY(new_part(&f->variance, f, p->columns, 1, sizeof(double), error));
    SC_TRY(find_columns(f, error));
    for (size_t u = 0; u < p->units; u++)
        if (!p->keep || p->keep[u])
            f->unit[f->units++] = u;
    SC_TRY(new_part(&f->weight, f, f->units, f->columns, sizeof(sc_real), error));
    pack_weight(f);
    pack_x(f);
    pack_units(f, p->y);
    if (p->threshold && p->rectified) {
        SC_TRY(new_part(&f->threshold, f, f->rows, f->units, sizeof(sc_real), error));
        for (size_t r = 0; r < f->rows; r++)
            for (size_t k = 0; k < f->units; k++)
                f->threshold[r * f->units + k] = p->threshold[r * p->units + f->unit[k]];
    }
    return SC_OK;
}

/* ---- the normal equations ---- */

static void multiply(fit *f, sc_real *out, size_t m, size_t n, size_t k, sc_gemm_operand a, sc_gemm_operand b) {
    sc_gemm_run(&(sc_gemm){.m = m, .n = n, .k = k, .a = a, .b = b, .c = out, .ldc = n, .scratch = f->scratch});
}

static sc_gemm_operand plain(const sc_real *x, size_t ld) {
    return (sc_gemm_operand){.x = x, .ld = ld, .transpose = SC_PLAIN};
}

static sc_gemm_operand transposed(const sc_real *x, size_t ld) {
    return (sc_gemm_operand){.x = x, .ld = ld, .transpose = SC_TRANSPOSED};
}

/* Adds the ridge to the diagonal; false where the matrix is zero. */
static bool add_ridge(fit *f) {
    double trace = 0;
    for (size_t i = 0; i < f->size; i++)
        trace += f->factor[i * f->size + i];
    for (size_t i = 0; i < f->size; i++)
        f->factor[i * f->size + i] += f->p->ridge * trace / (double)f->columns;
    return trace > 0;
}

/* The factor of x^T x + ridge, or x x^T + ridge. */
static sc_status factor_equations(fit *f, sc_error *error) {
    const sc_real *x = f->p->x;
    SC_TRY(new_part(&f->factor, f, f->size, f->size, sizeof(double), error));
    SC_TRY(new_part(&f->product, f, f->size, f->units, sizeof(sc_real), error));
    SC_TRY(new_part(&f->solution, f, f->size, f->units, sizeof(double), error));
    for (size_t i = 0; i < f->size * f->size; i++)
        f->factor[i] = 0;
    SC_TRY(sc_gram_add(&(sc_gram){.terms = f->dual ? f->columns : f->rows,
                                  .m = f->size,
                                  .a = x,
                                  .lda = f->columns,
                                  .across = f->dual,
                                  .sum = f->factor,
                                  .ld = f->size},
                       error));
    if (!add_ridge(f))
        f->columns = 0; /* all of x is constant: nothing to fit but the bias */
    SC_TRY(sc_interrupt_check(error));
    return f->columns ? sc_cholesky_factor(f->factor, f->size, error) : SC_OK;
}

static void narrow(sc_real *to, const double *from, size_t count) {
#pragma omp parallel for simd schedule(static) if (count > 65536)
    for (size_t i = 0; i < count; i++)
        to[i] = (sc_real)from[i];
}

/* The change for the residual that is there, and what it adds to the outputs. */
static sc_status solve(fit *f, sc_error *error) {
    const sc_real *x = f->p->x;
    for (size_t i = 0; i < f->size * f->units; i++)
        f->solution[i] = f->dual ? (double)f->residual[i] : 0;
    if (!f->dual)
        SC_TRY(sc_gram_add(&(sc_gram){.terms = f->rows,
                                      .m = f->columns,
                                      .n = f->units,
                                      .a = x,
                                      .lda = f->columns,
                                      .b = f->residual,
                                      .ldb = f->units,
                                      .sum = f->solution,
                                      .ld = f->units},
                           error));
    SC_TRY(sc_cholesky_solve(f->factor, f->size, f->solution, f->units, error));
    narrow(f->dual ? f->product : f->change, f->solution, f->size * f->units);
    if (f->dual)
        multiply(f, f->change, f->columns, f->units, f->rows, transposed(x, f->columns), plain(f->product, f->units));
    multiply(f, f->fitted, f->rows, f->units, f->columns, plain(x, f->columns), plain(f->change, f->units));
    return sc_interrupt_check(error);
}

/* ---- outputs ---- */

/* What output u of a row is to be, seen what the fit makes of it so far. */
static sc_real wanted_output(const fit *f, size_t i, size_t u, bool fitted) {
    sc_real y = f->p->y[i], least = f->threshold ? f->threshold[i] : 0;
    if (!fitted || y >= least)
        return y;
    sc_real made = (sc_real)((double)f->base[i] + (double)f->fitted[i] + f->y_mean[u]);
    return made < least ? made : least;
}

/* The means of the outputs wanted and what the old weights leave of them. */
static sc_status set_residual(fit *f, bool fitted, sc_error *error) {
#pragma omp parallel for schedule(static)
    for (size_t r = 0; r < f->rows; r++)
        for (size_t u = 0; u < f->units; u++)
            f->residual[r * f->units + u] = wanted_output(f, r * f->units + u, u, fitted);
    sc_column_moments(f->y_mean, NULL, f->residual, f->rows, f->units);
    for (size_t u = 0; u < f->units; u++) {
        if (!isfinite(f->y_mean[u]))
            return sc_error_set(error, SC_ERROR_ARGUMENT, "least_squares: y: expected finite numbers");
        if (!f->p->bias)
            f->y_mean[u] = 0;
    }
#pragma omp parallel for schedule(static)
    for (size_t r = 0; r < f->rows; r++)
        for (size_t u = 0; u < f->units; u++) {
            size_t i = r * f->units + u;
            f->residual[i] = (sc_real)((double)f->residual[i] - f->y_mean[u] - (double)f->base[i]);
        }
    return SC_OK;
}

/* Mean square of the residual, less what the change adds where there is one. */
static double mean_square(const fit *f, bool fitted) {
    double sum = 0;
    for (size_t i = 0; i < f->rows * f->units; i++) {
        double left = (double)f->residual[i] - (fitted ? (double)f->fitted[i] : 0);
        sum += left * left;
    }
    return f->rows && f->units ? sum / ((double)f->rows * (double)f->units) : 0;
}

static void set_bias(fit *f, size_t live) {
    for (size_t u = 0; u < f->units && f->p->bias; u++) {
        const sc_real *weight = f->p->weight + f->unit[u] * f->p->columns;
        double bias = f->y_mean[u];
        for (size_t k = 0; k < live; k++)
            bias -= (double)weight[f->column[k]] * f->x_mean[k];
        f->p->bias[f->unit[u]] = (sc_real)bias;
    }
}

static void add_change(fit *f) {
    for (size_t u = 0; u < f->units; u++)
        for (size_t k = 0; k < f->columns; k++)
            f->p->weight[f->unit[u] * f->p->columns + f->column[k]] += f->change[k * f->units + u];
}

static sc_status run(fit *f, sc_error *error) {
    SC_TRY(select_parts(f, error));
    size_t live = f->columns, all = sc_max(f->rows, f->columns);
    f->p->live = live;
    f->dual = f->columns > f->rows;
    f->size = f->dual ? f->rows : f->columns;
    SC_TRY(new_part(&f->base, f, f->rows, f->units, sizeof(sc_real), error));
    SC_TRY(new_part(&f->fitted, f, f->rows, f->units, sizeof(sc_real), error));
    SC_TRY(new_part(&f->residual, f, f->rows, f->units, sizeof(sc_real), error));
    SC_TRY(new_part(&f->change, f, all, f->units, sizeof(sc_real), error));
    SC_TRY(new_part(&f->scratch, f, sc_product_scratch(), 1, 1, error));
    for (size_t i = 0; i < f->rows * f->units; i++)
        f->base[i] = f->fitted[i] = 0;
    if (f->columns && f->units) {
        multiply(f, f->base, f->rows, f->units, f->columns, plain(f->p->x, f->columns),
                 transposed(f->weight, f->columns));
        SC_TRY(factor_equations(f, error));
    }
    for (size_t pass = 0; pass <= (f->p->rectified ? f->p->passes : 0); pass++) {
        SC_TRY(set_residual(f, pass > 0, error));
        if (pass == 0)
            f->p->before = mean_square(f, false);
        if (f->columns && f->units)
            SC_TRY(solve(f, error));
    }
    f->p->after = mean_square(f, true);
    add_change(f);
    set_bias(f, live);
    return SC_OK;
}

sc_status sc_least_squares_fit(sc_least_squares *problem, sc_error *error) {
    fit f = {.p = problem, .rows = problem->rows};
    sc_interrupt_begin();
    sc_status status = run(&f, error);
    sc_interrupt_end();
    free_parts(&f);
    return status;
}
