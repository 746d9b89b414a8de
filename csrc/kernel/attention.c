#include "kernel/attention.h"

#include "base/size.h"
#include "kernel/gemm.h"
#include "kernel/softmax.h"

#include <math.h>
#include <omp.h>

/* Where one head of one sample starts: in [n x t x d], and in [n x heads x t x t]. */
static size_t head_of(const sc_attention_size *s, size_t i) {
    return i / s->heads * s->t * s->d + i % s->heads * (s->d / s->heads);
}

static size_t square_of(const sc_attention_size *s, size_t i) {
    return i * s->t * s->t;
}

static sc_real scale_of(const sc_attention_size *s) {
    return (sc_real)(1 / sqrt((double)(s->d / s->heads)));
}

/* Queries whose scores, softmax and context are made one after the other. */
enum { BLOCK = 4 * SC_TILE_ROWS };

/* Scores of one query, with those of keys that fill up the last panel. */
static size_t padded_keys(const sc_attention_size *s) {
    return sc_round_up(s->t, SC_TILE_HALF);
}

/* Numbers of one thread: two [t x t] and two [t x width] matrices, or packed keys, packed values and the scores of a
 * block; and the products' own. */
static size_t matrices(const sc_attention_size *s) {
    size_t width = s->d / s->heads;
    size_t packed = sc_packed_columns_size(s->t, width) + sc_packed_columns_size(width, s->t);
    return (sc_max(2 * s->t * (s->t + width), packed + BLOCK * padded_keys(s)) + 31) / 16 * 16;
}

static size_t thread_reals(const sc_attention_size *s) {
    return matrices(s) + sc_product_thread_scratch() / sizeof(sc_real);
}

size_t sc_attention_scratch(const sc_attention_size *s) {
    return (size_t)omp_get_max_threads() * thread_reals(s) * sizeof(sc_real);
}

/* The calling thread's matrices, and its part of scratch for products. */
static sc_real *matrices_of(void *scratch, const sc_attention_size *s) {
    return (sc_real *)scratch + (size_t)omp_get_thread_num() * thread_reals(s);
}

static void *products_of(void *scratch, const sc_attention_size *s) {
    return matrices_of(scratch, s) + matrices(s);
}

void sc_attention_scores_forward(sc_real *scores, void *scratch, const sc_real *q, const sc_real *k,
                                 const sc_attention_size *s) {
    size_t width = s->d / s->heads;
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < s->n * s->heads; i++)
        sc_gemm(SC_PLAIN, SC_TRANSPOSED, s->t, s->t, width, scale_of(s), q + head_of(s, i), s->d, k + head_of(s, i),
                s->d, false, scores + square_of(s, i), s->t, products_of(scratch, s));
}

void sc_attention_scores_backward(sc_real *dq, sc_real *dk, void *scratch, const sc_real *dscores, const sc_real *q,
                                  const sc_real *k, bool add_q, bool add_k, const sc_attention_size *s) {
    size_t width = s->d / s->heads;
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < s->n * s->heads; i++) {
        const sc_real *grad = dscores + square_of(s, i);
        size_t head = head_of(s, i);
        if (dq)
            sc_gemm(SC_PLAIN, SC_PLAIN, s->t, width, s->t, scale_of(s), grad, s->t, k + head, s->d, add_q, dq + head,
                    s->d, products_of(scratch, s));
        if (dk)
            sc_gemm(SC_TRANSPOSED, SC_PLAIN, s->t, width, s->t, scale_of(s), grad, s->t, q + head, s->d, add_k,
                    dk + head, s->d, products_of(scratch, s));
    }
}

void sc_attention_context_forward(sc_real *context, void *scratch, const sc_real *p, const sc_real *v,
                                  const sc_attention_size *s) {
    size_t width = s->d / s->heads;
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < s->n * s->heads; i++)
        sc_gemm(SC_PLAIN, SC_PLAIN, s->t, width, s->t, 1, p + square_of(s, i), s->t, v + head_of(s, i), s->d, false,
                context + head_of(s, i), s->d, products_of(scratch, s));
}

void sc_attention_context_backward(sc_real *dp, sc_real *dv, void *scratch, const sc_real *dcontext, const sc_real *p,
                                   const sc_real *v, bool add_p, bool add_v, const sc_attention_size *s) {
    size_t width = s->d / s->heads;
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < s->n * s->heads; i++) {
        size_t head = head_of(s, i), square = square_of(s, i);
        if (dp)
            sc_gemm(SC_PLAIN, SC_TRANSPOSED, s->t, s->t, width, 1, dcontext + head, s->d, v + head, s->d, add_p,
                    dp + square, s->t, products_of(scratch, s));
        if (dv)
            sc_gemm(SC_TRANSPOSED, SC_PLAIN, s->t, width, s->t, 1, p + square, s->t, dcontext + head, s->d, add_v,
                    dv + head, s->d, products_of(scratch, s));
    }
}

/* What the blocks of one head share. */
typedef struct shared {
    const sc_attention_size *s;
    const sc_real *q;
    sc_real *keys, *values; /* packed as columns */
    void *products;
} shared;

static void pack_head(sc_real *to, sc_transposition transpose, const sc_real *from, const sc_attention_size *s,
                      size_t columns, size_t depth) {
    sc_matrix matrix = sc_matrix_columns(transpose, from, s->d);
    sc_operand operand = sc_columns_operand(&matrix);
    sc_pack_columns(to, &operand, columns, depth);
}

/* p[count x t], rows ld apart: probabilities of the queries from `row` on. With `padded` rows have place for a whole
 * number of panels. */
static void find_probabilities(sc_real *p, size_t ld, const shared *h, size_t row, size_t count, bool padded) {
    const sc_attention_size *s = h->s;
    sc_matrix queries = sc_matrix_rows(SC_PLAIN, h->q + row * s->d, s->d);
    queries.scale = scale_of(s);
    sc_product product = {
        .m = count,
        .n = padded ? padded_keys(s) : s->t,
        .k = s->d / s->heads,
        .rows = sc_rows_operand(&queries),
        .columns = {.packed = h->keys},
        .out = {.y = p, .row_stride = ld},
        .scratch = h->products,
    };
    sc_product_run(&product);
    sc_softmax_rows(p, ld, count, s->t);
}

static void find_context(sc_real *context, const sc_real *p, size_t ld, const shared *h, size_t count) {
    const sc_attention_size *s = h->s;
    sc_matrix probabilities = sc_matrix_rows(SC_PLAIN, p, ld);
    sc_product product = {
        .m = count,
        .n = s->d / s->heads,
        .k = s->t,
        .rows = sc_rows_operand(&probabilities),
        .columns = {.packed = h->values},
        .out = {.y = context, .row_stride = s->d},
        .scratch = h->products,
    };
    sc_product_run(&product);
}

void sc_attention_probabilities_forward(sc_real *p, void *scratch, const sc_real *q, const sc_real *k,
                                        const sc_attention_size *s) {
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < s->n * s->heads; i++) {
        shared h = {s, q + head_of(s, i), matrices_of(scratch, s), NULL, products_of(scratch, s)};
        pack_head(h.keys, SC_TRANSPOSED, k + head_of(s, i), s, s->t, s->d / s->heads);
        for (size_t row = 0; row < s->t; row += BLOCK)
            find_probabilities(p + square_of(s, i) + row * s->t, s->t, &h, row, sc_min(BLOCK, s->t - row), false);
    }
}

void sc_attention_forward(sc_real *context, void *scratch, const sc_real *q, const sc_real *k, const sc_real *v,
                          const sc_attention_size *s) {
    size_t width = s->d / s->heads, ld = padded_keys(s);
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < s->n * s->heads; i++) {
        shared h = {s, q + head_of(s, i), matrices_of(scratch, s), NULL, products_of(scratch, s)};
        h.values = h.keys + sc_packed_columns_size(s->t, width);
        sc_real *p = h.values + sc_packed_columns_size(width, s->t);
        pack_head(h.keys, SC_TRANSPOSED, k + head_of(s, i), s, s->t, width);
        pack_head(h.values, SC_PLAIN, v + head_of(s, i), s, width, s->t);
        for (size_t row = 0; row < s->t; row += BLOCK) {
            size_t count = sc_min(BLOCK, s->t - row);
            find_probabilities(p, ld, &h, row, count, true);
            find_context(context + head_of(s, i) + row * s->d, p, ld, &h, count);
        }
    }
}

/* to[rows x columns] = r / stab(factor * z), each with its own distance of rows. */
static void share(sc_real *to, size_t to_ld, const sc_real *r, const sc_real *z, size_t ld, size_t rows, size_t columns,
                  sc_real factor, sc_real epsilon) {
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++) {
            sc_real d = factor * z[i * ld + j];
            to[i * to_ld + j] = r[i * ld + j] / (d >= 0 ? d + epsilon : d - epsilon);
        }
}

/* to += x * y elementwise. */
static void add_product(sc_real *to, const sc_real *x, size_t ld, const sc_real *y, size_t y_ld, size_t rows,
                        size_t columns) {
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++)
            to[i * ld + j] += x[i * ld + j] * y[i * y_ld + j];
}

void sc_attention_scores_relevance(sc_real *rq, sc_real *rk, void *scratch, const sc_real *r, const sc_real *scores,
                                   const sc_real *q, const sc_real *k, sc_real epsilon, const sc_attention_size *s) {
    size_t width = s->d / s->heads;
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < s->n * s->heads; i++) {
        sc_real *shares = matrices_of(scratch, s);
        sc_real *part = shares + s->t * s->t;
        size_t head = head_of(s, i), square = square_of(s, i);
        share(shares, s->t, r + square, scores + square, s->t, s->t, s->t, 2, epsilon);
        if (rq) {
            sc_gemm(SC_PLAIN, SC_PLAIN, s->t, width, s->t, scale_of(s), shares, s->t, k + head, s->d, false, part,
                    width, products_of(scratch, s));
            add_product(rq + head, q + head, s->d, part, width, s->t, width);
        }
        if (rk) {
            sc_gemm(SC_TRANSPOSED, SC_PLAIN, s->t, width, s->t, scale_of(s), shares, s->t, q + head, s->d, false, part,
                    width, products_of(scratch, s));
            add_product(rk + head, k + head, s->d, part, width, s->t, width);
        }
    }
}

void sc_attention_context_relevance(sc_real *rp, sc_real *rv, void *scratch, const sc_real *r, const sc_real *context,
                                    const sc_real *p, const sc_real *v, bool hold, sc_real epsilon,
                                    const sc_attention_size *s) {
    size_t width = s->d / s->heads;
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < s->n * s->heads; i++) {
        sc_real *shares = matrices_of(scratch, s);
        sc_real *part = shares + s->t * width;
        size_t head = head_of(s, i), square = square_of(s, i);
        share(shares, width, r + head, context + head, s->d, s->t, width, hold ? 1 : 2, epsilon);
        if (rp && !hold) {
            sc_gemm(SC_PLAIN, SC_TRANSPOSED, s->t, s->t, width, 1, shares, width, v + head, s->d, false, part, s->t,
                    products_of(scratch, s));
            add_product(rp + square, p + square, s->t, part, s->t, s->t, s->t);
        }
        if (rv) {
            sc_gemm(SC_TRANSPOSED, SC_PLAIN, s->t, width, s->t, 1, p + square, s->t, shares, width, false, part, width,
                    products_of(scratch, s));
            add_product(rv + head, v + head, s->d, part, width, s->t, width);
        }
    }
}
