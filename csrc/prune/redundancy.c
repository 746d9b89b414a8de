#include "prune/redundancy.h"

#include "base/interrupt.h"
#include "base/memory.h"
#include "base/size.h"
#include "kernel/dense64.h"

#include <stdbool.h>
#include <string.h>

/* B itself is never formed. With N = diag(w) + B^T W B, cost_u is N_uu / G_uu, and removing u, where k = G_u,: / G_uu
 * is how u is predicted and n = N_u,:,
 *
 *     G -= g k^T, g = G_u,:        N -= p k^T + k p^T, p = n - N_uu / 2 k
 *
 * since B_j,: -= B_ju k for the removed j and B_u,: = -k. Removals are collected and carried out PENDING at a time, as
 * products of matrices; between these only the diagonals and the rows asked for are brought up to date. */
enum { PENDING = SC_DENSE64_DEPTH };

typedef struct elimination {
    size_t active; /* units that matrices and vectors have; those removed since the last update among them */
    size_t ld;
    double *g, *n;     /* [active x ld] */
    double *diagonal;  /* [active]: of G, brought up to date */
    double *numerator; /* [active]: of N */
    size_t *unit;      /* [active]: which units they are */
    bool *removed;     /* [active] */
    size_t pending;
    double *rows, *shares, *halves; /* [PENDING x ld]: g, k and p of the removals that wait */
} elimination;

static void destroy(elimination *e) {
    sc_memory_free(e->n);
    sc_memory_free(e->diagonal);
    sc_memory_free(e->numerator);
    sc_memory_free(e->unit);
    sc_memory_free(e->removed);
    sc_memory_free(e->rows);
    sc_memory_free(e->shares);
    sc_memory_free(e->halves);
}

static sc_status allocate(elimination *e, size_t units, sc_error *error) {
    double **const vectors[] = {&e->diagonal, &e->numerator}, **const panels[] = {&e->rows, &e->shares, &e->halves};
    size_t square, panel;
    void *memory;
    if (!sc_size_multiply(&square, units, units) || !sc_size_multiply(&panel, units, PENDING))
        return sc_error_set(error, SC_ERROR_MEMORY, "redundancy: %zu units are too many", units);
    SC_TRY(sc_memory_calloc(&memory, square, sizeof(double), error));
    e->n = memory;
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        SC_TRY(sc_memory_alloc(&memory, units, sizeof(double), error));
        *vectors[i] = memory;
    }
    for (size_t i = 0; i < sizeof panels / sizeof *panels; i++) {
        SC_TRY(sc_memory_alloc(&memory, panel, sizeof(double), error));
        *panels[i] = memory;
    }
    SC_TRY(sc_memory_calloc(&memory, units, sizeof(size_t), error));
    e->unit = memory;
    SC_TRY(sc_memory_calloc(&memory, units, sizeof(bool), error));
    e->removed = memory;
    return SC_OK;
}

static void read_diagonals(elimination *e) {
    for (size_t u = 0; u < e->active; u++) {
        e->diagonal[u] = e->g[u * e->ld + u];
        e->numerator[u] = e->n[u * e->ld + u];
    }
}

static double cost_of(const elimination *e, size_t u) {
    double cost = e->numerator[u] / e->diagonal[u];
    return cost > 0 ? cost : 0; /* below 0 by rounding alone */
}

static size_t find_cheapest(const elimination *e, double *cost) {
    size_t best = SIZE_MAX;
    for (size_t u = 0; u < e->active; u++) {
        if (e->removed[u])
            continue;
        double own = cost_of(e, u);
        if (best == SIZE_MAX || own < *cost) {
            best = u;
            *cost = own;
        }
    }
    return best;
}

/* Removes unit u: its rows, up to date, become what waits. */
static void remove_unit(elimination *e, size_t u) {
    const size_t active = e->active, t = e->pending;
    double *row = e->rows + t * e->ld, *share = e->shares + t * e->ld, *half = e->halves + t * e->ld;
    memcpy(row, e->g + u * e->ld, active * sizeof *row);
    memcpy(half, e->n + u * e->ld, active * sizeof *half);
    for (size_t s = 0; s < t; s++) {
        const double *k = e->shares + s * e->ld, *p = e->halves + s * e->ld;
        const double g_u = e->rows[s * e->ld + u], k_u = k[u], p_u = p[u];
        for (size_t v = 0; v < active; v++) {
            row[v] -= g_u * k[v];
            half[v] -= p_u * k[v] + k_u * p[v];
        }
    }
    const double pivot = e->diagonal[u], numerator = e->numerator[u];
    for (size_t v = 0; v < active; v++) {
        share[v] = row[v] / pivot;
        half[v] -= numerator / 2 * share[v];
        e->diagonal[v] -= row[v] * share[v];
        e->numerator[v] -= 2 * (half[v] * share[v]);
    }
    e->removed[u] = true;
    e->pending++;
}

/* Drops removed units from the columns of a row. */
static void compact_row(double *to, const double *from, const elimination *e) {
    size_t kept = 0;
    for (size_t v = 0; v < e->active; v++)
        if (!e->removed[v])
            to[kept++] = from[v];
}

static void compact(elimination *e) {
    size_t kept = 0;
    for (size_t t = 0; t < e->pending; t++) {
        compact_row(e->rows + t * e->ld, e->rows + t * e->ld, e);
        compact_row(e->shares + t * e->ld, e->shares + t * e->ld, e);
        compact_row(e->halves + t * e->ld, e->halves + t * e->ld, e);
    }
    for (size_t u = 0; u < e->active; u++) {
        if (e->removed[u])
            continue;
        compact_row(e->g + kept * e->ld, e->g + u * e->ld, e);
        compact_row(e->n + kept * e->ld, e->n + u * e->ld, e);
        e->unit[kept++] = e->unit[u];
    }
    memset(e->removed, 0, e->active * sizeof *e->removed);
    e->active = kept;
}

/* Carries out what waits, for the units that are left. */
static void update(elimination *e) {
    compact(e);
    sc_update64 change = {
        .lda = e->ld, .ldx = e->ld, .ldy = e->ld, .rows = e->active, .columns = e->active, .depth = e->pending};
    change.a = e->g, change.x = e->rows, change.y = e->shares;
    sc_update64_run(&change);
    change.a = e->n, change.x = e->halves;
    sc_update64_run(&change);
    change.x = e->shares, change.y = e->halves;
    sc_update64_run(&change);
    e->pending = 0;
    read_diagonals(e);
}

static sc_status run(elimination *e, sc_redundancy *out, size_t units, sc_error *error) {
    for (size_t step = 0; step < units; step++) {
        size_t u = find_cheapest(e, &out->cost[step]);
        out->order[step] = e->unit[u];
        remove_unit(e, u);
        if (e->pending == PENDING)
            update(e);
        SC_TRY(sc_interrupt_check(error));
    }
    return SC_OK;
}

sc_status sc_redundancy_find(sc_redundancy *out, double *h, const double *weight, size_t units, double ridge,
                             sc_error *error) {
    elimination e = {.active = units, .ld = units, .g = h};
    double trace = 0;
    for (size_t u = 0; u < units; u++)
        trace += h[u * units + u];
    if (!(trace > 0)) { /* no unit varies: none is worth anything */
        for (size_t u = 0; u < units; u++)
            out->order[u] = u, out->cost[u] = 0;
        return SC_OK;
    }
    for (size_t u = 0; u < units; u++)
        h[u * units + u] += ridge * (trace / (double)units);
    SC_TRY(sc_inverse64(h, units, error));
    sc_status status = allocate(&e, units, error);
    if (status == SC_OK) {
        for (size_t u = 0; u < units; u++) {
            e.unit[u] = u;
            e.n[u * units + u] = weight[u];
        }
        read_diagonals(&e);
        status = run(&e, out, units, error);
    }
    destroy(&e);
    return status;
}
