#include "kernel/attention.h"

#include "base/size.h"
#include "kernel/gemm.h"
#include "kernel/softmax.h"
#include "kernel/stabilise.h"

#include <math.h>
#include <omp.h>

/* Features of one head of one sample. */
static size_t width_of(const sc_attention_size *s, size_t i) {
    return s->widths ? s->widths[i % s->heads] : s->d / s->heads;
}

static size_t max_width(const sc_attention_size *s) {
    size_t widest = s->d / s->heads;
    for (size_t h = 0; s->widths && h < s->heads; h++)
        widest = sc_max(widest, s->widths[h]);
    return widest;
}

/* Where one head of one sample starts: in [n x t x d], and in [n x heads x t x t]. */
static size_t head_of(const sc_attention_size *s, size_t i) {
    size_t first = i % s->heads * (s->d / s->heads);
    if (s->widths) {
        first = 0;
        for (size_t h = 0; h < i % s->heads; h++)
            first += s->widths[h];
    }
    return i / s->heads * s->t * s->d + first;
}

static size_t square_of(const sc_attention_size *s, size_t i) {
    return i * s->t * s->t;
}

static sc_real scale_of(const sc_attention_size *s) {
    return (sc_real)(s->scale != 0 ? s->scale : 1 / sqrt((double)(s->d / s->heads)));
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
    size_t width = max_width(s);
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

/* ---- products of one head of one sample: matrices [t x width] and [t x t] ---- */

static sc_gemm_operand head_at(const sc_attention_size *s, const sc_real *x, size_t i) {
    return (sc_gemm_operand){x + head_of(s, i), s->d, SC_PLAIN};
}

static sc_gemm_operand square_at(const sc_attention_size *s, const sc_real *x, size_t i) {
    return (sc_gemm_operand){x + square_of(s, i), s->t, SC_PLAIN};
}

static sc_gemm_operand transposed(sc_gemm_operand x) {
    x.transpose = SC_TRANSPOSED;
    return x;
}

/* c[t x t] = scale a[t x width] b[width x t] of head i, or with `add` c +=. */
static void multiply_square(sc_real *c, sc_gemm_operand a, sc_gemm_operand b, sc_real scale, bool add, void *scratch,
                            const sc_attention_size *s, size_t i) {
    sc_gemm product = {.m = s->t, .n = s->t, .k = width_of(s, i), .scale = scale, .a = a, .b = b};
    product.c = c;
    product.ldc = s->t;
    product.add = add;
    product.scratch = products_of(scratch, s);
    sc_gemm_run(&product);
}

/* c[t x width] = scale a[t x t] b[t x width] of head i, or with `add` c +=. */
static void multiply_head(sc_real *c, size_t ldc, sc_gemm_operand a, sc_gemm_operand b, sc_real scale, bool add,
                          void *scratch, const sc_attention_size *s, size_t i) {
    sc_gemm product = {.m = s->t, .n = width_of(s, i), .k = s->t, .scale = scale, .a = a, .b = b};
    product.c = c;
    product.ldc = ldc;
    product.add = add;
    product.scratch = products_of(scratch, s);
    sc_gemm_run(&product);
}

void sc_attention_scores_forward(sc_real *scores, void *scratch, const sc_real *q, const sc_real *k,
                                 const sc_attention_size *s) {
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < s->n * s->heads; i++)
        multiply_square(scores + square_of(s, i), head_at(s, q, i), transposed(head_at(s, k, i)), scale_of(s), false,
                        scratch, s, i);
}

void sc_attention_scores_backward(const sc_attention_backward *g, const sc_attention_size *s) {
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < s->n * s->heads; i++) {
        sc_gemm_operand dz = square_at(s, g->dz, i);
        if (g->da)
            multiply_head(g->da + head_of(s, i), s->d, dz, head_at(s, g->b, i), scale_of(s), g->add_a, g->scratch, s,
                          i);
        if (g->db)
            multiply_head(g->db + head_of(s, i), s->d, transposed(dz), head_at(s, g->a, i), scale_of(s), g->add_b,
                          g->scratch, s, i);
    }
}

void sc_attention_context_forward(sc_real *context, void *scratch, const sc_real *p, const sc_real *v,
                                  const sc_attention_size *s) {
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < s->n * s->heads; i++)
        multiply_head(context + head_of(s, i), s->d, square_at(s, p, i), head_at(s, v, i), 1, false, scratch, s, i);
}

void sc_attention_context_backward(const sc_attention_backward *g, const sc_attention_size *s) {
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < s->n * s->heads; i++) {
        sc_gemm_operand dz = head_at(s, g->dz, i);
        if (g->da)
            multiply_square(g->da + square_of(s, i), dz, transposed(head_at(s, g->b, i)), 1, g->add_a, g->scratch, s,
                            i);
        if (g->db)
            multiply_head(g->db + head_of(s, i), s->d, transposed(square_at(s, g->a, i)), dz, 1, g->add_b, g->scratch,
                          s, i);
    }
}

/* ---- scores, softmax and context of a few queries after the other ---- */

/* What the blocks of one head share. */
typedef struct shared {
    const sc_attention_size *s, *of_values; /* of queries and keys, and of values */
    size_t i;
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
        .k = width_of(s, h->i),
        .rows = sc_rows_operand(&queries),
        .columns = {.packed = h->keys},
        .out = {.y = p, .row_stride = ld},
        .scratch = h->products,
    };
    sc_product_run(&product);
    sc_softmax_rows(p, ld, count, s->t);
}

static void find_context(sc_real *context, const sc_real *p, size_t ld, const shared *h, size_t count) {
    const sc_attention_size *s = h->of_values;
    sc_matrix probabilities = sc_matrix_rows(SC_PLAIN, p, ld);
    sc_product product = {
        .m = count,
        .n = width_of(s, h->i),
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
        shared h = {s, NULL, i, q + head_of(s, i), matrices_of(scratch, s), NULL, products_of(scratch, s)};
        pack_head(h.keys, SC_TRANSPOSED, k + head_of(s, i), s, s->t, width_of(s, i));
        for (size_t row = 0; row < s->t; row += BLOCK)
            find_probabilities(p + square_of(s, i) + row * s->t, s->t, &h, row, sc_min(BLOCK, s->t - row), false);
    }
}

void sc_attention_forward(sc_real *context, void *scratch, const sc_real *q, const sc_real *k, const sc_real *v,
                          const sc_attention_size *keys, const sc_attention_size *values) {
    const sc_attention_size *widest = max_width(keys) > max_width(values) ? keys : values;
    size_t ld = padded_keys(keys);
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < keys->n * keys->heads; i++) {
        shared h = {
            keys, values, i, q + head_of(keys, i), matrices_of(scratch, widest), NULL, products_of(scratch, widest)};
        h.values = h.keys + sc_packed_columns_size(keys->t, width_of(keys, i));
        sc_real *p = h.values + sc_packed_columns_size(width_of(values, i), keys->t);
        pack_head(h.keys, SC_TRANSPOSED, k + head_of(keys, i), keys, keys->t, width_of(keys, i));
        pack_head(h.values, SC_PLAIN, v + head_of(values, i), values, width_of(values, i), keys->t);
        for (size_t row = 0; row < keys->t; row += BLOCK) {
            size_t count = sc_min(BLOCK, keys->t - row);
            find_probabilities(p, ld, &h, row, count, true);
            find_context(context + head_of(values, i) + row * values->d, p, ld, &h, count);
        }
    }
}

/* ---- relevance ---- */

/* to[t x columns] = r / stab(factor * z); r and z have rows ld apart. */
static void divide(sc_real *to, const sc_real *r, const sc_real *z, size_t ld, size_t columns, sc_real factor,
                   sc_real epsilon, const sc_attention_size *s) {
    for (size_t i = 0; i < s->t; i++)
        for (size_t j = 0; j < columns; j++)
            to[i * columns + j] = r[i * ld + j] / sc_stabilise(factor * z[i * ld + j], epsilon);
}

/* to[t x columns] += x * y elementwise; to and x have rows ld apart. */
static void add_product(sc_real *to, const sc_real *x, size_t ld, const sc_real *y, size_t columns,
                        const sc_attention_size *s) {
    for (size_t i = 0; i < s->t; i++)
        for (size_t j = 0; j < columns; j++)
            to[i * ld + j] += x[i * ld + j] * y[i * columns + j];
}

void sc_attention_scores_relevance(const sc_attention_backward *g, const sc_attention_size *s) {
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < s->n * s->heads; i++) {
        size_t width = width_of(s, i);
        sc_real *quotient = matrices_of(g->scratch, s), *part = quotient + s->t * s->t;
        sc_gemm_operand shares = {quotient, s->t, SC_PLAIN};
        size_t head = head_of(s, i), square = square_of(s, i);
        divide(quotient, g->dz + square, g->z + square, s->t, s->t, 2, g->epsilon, s);
        if (g->da) {
            multiply_head(part, width, shares, head_at(s, g->b, i), scale_of(s), false, g->scratch, s, i);
            add_product(g->da + head, g->a + head, s->d, part, width, s);
        }
        if (g->db) {
            multiply_head(part, width, transposed(shares), head_at(s, g->a, i), scale_of(s), false, g->scratch, s, i);
            add_product(g->db + head, g->b + head, s->d, part, width, s);
        }
    }
}

void sc_attention_context_relevance(const sc_attention_backward *g, bool detach_weights, const sc_attention_size *s) {
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < s->n * s->heads; i++) {
        size_t width = width_of(s, i);
        sc_real *quotient = matrices_of(g->scratch, s), *part = quotient + s->t * width;
        sc_gemm_operand shares = {quotient, width, SC_PLAIN};
        size_t head = head_of(s, i), square = square_of(s, i);
        divide(quotient, g->dz + head, g->z + head, s->d, width, detach_weights ? 1 : 2, g->epsilon, s);
        if (g->da && !detach_weights) {
            multiply_square(part, shares, transposed(head_at(s, g->b, i)), 1, false, g->scratch, s, i);
            add_product(g->da + square, g->a + square, s->t, part, s->t, s);
        }
        if (g->db) {
            multiply_head(part, width, transposed(square_at(s, g->a, i)), shares, 1, false, g->scratch, s, i);
            add_product(g->db + head, g->b + head, s->d, part, width, s);
        }
    }
}
