/* The products of multi-head attention. q, k, v and context are [n x t x d], heads side by side in d; scores and
 * probabilities p are [n x heads x t x t], one row per query. Heads may differ in the number of their features, and
 * queries and keys from values. */
#ifndef SC_KERNEL_ATTENTION_H
#define SC_KERNEL_ATTENTION_H

#include "base/real.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct sc_attention_size {
    size_t n, t, d, heads;
    const uint32_t *widths; /* [heads] features of each, d in all; NULL: d / heads each */
    double scale;           /* of the scores; 0: 1 / sqrt(d / heads) */
} sc_attention_size;

/* Bytes of scratch that each function below needs, with the threads now in force. */
size_t sc_attention_scratch(const sc_attention_size *s);

/* scores = scale q k^T per head. */
void sc_attention_scores_forward(sc_real *scores, void *scratch, const sc_real *q, const sc_real *k,
                                 const sc_attention_size *s);

/* context = p v per head. */
void sc_attention_context_forward(sc_real *context, void *scratch, const sc_real *p, const sc_real *v,
                                  const sc_attention_size *s);

/* p = the softmax of the scores of q and k: the same bits as in separate steps, with the scores of a few
 * queries in the cache. */
void sc_attention_probabilities_forward(sc_real *p, void *scratch, const sc_real *q, const sc_real *k,
                                        const sc_attention_size *s);

/* context = all three steps, likewise: scores and probabilities are never in memory as a whole. `keys` is the size of q
 * and k, `values` that of v and context, which differ in d and widths alone; scratch has to be enough for each. */
void sc_attention_forward(sc_real *context, void *scratch, const sc_real *q, const sc_real *k, const sc_real *v,
                          const sc_attention_size *keys, const sc_attention_size *values);

/* The backward pass of a product z = a b: scores of a = q and b = k, or context of a = p and b = v. */
typedef struct sc_attention_backward {
    const sc_real *a, *b, *dz;
    sc_real *da, *db;  /* either may be NULL */
    bool add_a, add_b; /* (gradients) to what is there; relevance always is */
    const sc_real *z;  /* (relevance) the product itself; dz, da and db are relevance then */
    sc_real epsilon;   /* (relevance) of the stabiliser */
    void *scratch;
} sc_attention_backward;

/* dq = scale dscores k, dk = scale dscores^T q. */
void sc_attention_scores_backward(const sc_attention_backward *g, const sc_attention_size *s);

/* dp = dcontext v^T, dv = p^T dcontext. */
void sc_attention_context_backward(const sc_attention_backward *g, const sc_attention_size *s);

/* The product rule Z = A B: S = R / stab(2 Z), R_A += A * (S B^T), R_B += B * (A^T S) (AttnLRP, Achtibat et al. 2024,
 * eq. 13), with A = scale q and B = k^T. */
void sc_attention_scores_relevance(const sc_attention_backward *g, const sc_attention_size *s);

/* The same with A = p and B = v. With detach_weights, p is a constant: R_v += v * (p^T (R / stab(Z))), nothing to p
 * (CP-LRP). */
void sc_attention_context_relevance(const sc_attention_backward *g, bool detach_weights, const sc_attention_size *s);

#endif
