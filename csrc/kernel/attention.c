#include "kernel/attention.h"

#include "kernel/gemm.h"

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

void sc_attention_scores_forward(sc_real *scores, const sc_real *q, const sc_real *k, const sc_attention_size *s) {
    size_t width = s->d / s->heads;
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < s->n * s->heads; i++)
        sc_gemm(SC_PLAIN, SC_TRANSPOSED, s->t, s->t, width, scale_of(s), q + head_of(s, i), s->d, k + head_of(s, i),
                s->d, 0, scores + square_of(s, i), s->t);
}

void sc_attention_scores_backward(sc_real *dq, sc_real *dk, const sc_real *dscores, const sc_real *q, const sc_real *k,
                                  const sc_attention_size *s) {
    size_t width = s->d / s->heads;
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < s->n * s->heads; i++) {
        const sc_real *grad = dscores + square_of(s, i);
        size_t head = head_of(s, i);
        if (dq)
            sc_gemm(SC_PLAIN, SC_PLAIN, s->t, width, s->t, scale_of(s), grad, s->t, k + head, s->d, 1, dq + head, s->d);
        if (dk)
            sc_gemm(SC_TRANSPOSED, SC_PLAIN, s->t, width, s->t, scale_of(s), grad, s->t, q + head, s->d, 1, dk + head,
                    s->d);
    }
}

void sc_attention_context_forward(sc_real *context, const sc_real *p, const sc_real *v, const sc_attention_size *s) {
    size_t width = s->d / s->heads;
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < s->n * s->heads; i++)
        sc_gemm(SC_PLAIN, SC_PLAIN, s->t, width, s->t, 1, p + square_of(s, i), s->t, v + head_of(s, i), s->d, 0,
                context + head_of(s, i), s->d);
}

void sc_attention_context_backward(sc_real *dp, sc_real *dv, const sc_real *dcontext, const sc_real *p,
                                   const sc_real *v, const sc_attention_size *s) {
    size_t width = s->d / s->heads;
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < s->n * s->heads; i++) {
        size_t head = head_of(s, i), square = square_of(s, i);
        if (dp)
            sc_gemm(SC_PLAIN, SC_TRANSPOSED, s->t, s->t, width, 1, dcontext + head, s->d, v + head, s->d, 1,
                    dp + square, s->t);
        if (dv)
            sc_gemm(SC_TRANSPOSED, SC_PLAIN, s->t, width, s->t, 1, p + square, s->t, dcontext + head, s->d, 1,
                    dv + head, s->d);
    }
}

/* Room for two [t x t] and two [t x width] matrices per thread. */
static size_t thread_reals(const sc_attention_size *s) {
    return 2 * s->t * (s->t + s->d / s->heads) + 32;
}

size_t sc_attention_scratch(const sc_attention_size *s) {
    return (size_t)omp_get_max_threads() * thread_reals(s) * sizeof(sc_real);
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
        sc_real *shares = (sc_real *)scratch + (size_t)omp_get_thread_num() * thread_reals(s);
        sc_real *part = shares + s->t * s->t;
        size_t head = head_of(s, i), square = square_of(s, i);
        share(shares, s->t, r + square, scores + square, s->t, s->t, s->t, 2, epsilon);
        if (rq) {
            sc_gemm(SC_PLAIN, SC_PLAIN, s->t, width, s->t, scale_of(s), shares, s->t, k + head, s->d, 0, part, width);
            add_product(rq + head, q + head, s->d, part, width, s->t, width);
        }
        if (rk) {
            sc_gemm(SC_TRANSPOSED, SC_PLAIN, s->t, width, s->t, scale_of(s), shares, s->t, q + head, s->d, 0, part,
                    width);
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
        sc_real *shares = (sc_real *)scratch + (size_t)omp_get_thread_num() * thread_reals(s);
        sc_real *part = shares + s->t * width;
        size_t head = head_of(s, i), square = square_of(s, i);
        share(shares, width, r + head, context + head, s->d, s->t, width, hold ? 1 : 2, epsilon);
        if (rp && !hold) {
            sc_gemm(SC_PLAIN, SC_TRANSPOSED, s->t, s->t, width, 1, shares, width, v + head, s->d, 0, part, s->t);
            add_product(rp + square, p + square, s->t, part, s->t, s->t, s->t);
        }
        if (rv) {
            sc_gemm(SC_TRANSPOSED, SC_PLAIN, s->t, width, s->t, 1, p + square, s->t, shares, width, 0, part, width);
            add_product(rv + head, v + head, s->d, part, width, s->t, width);
        }
    }
}
