#include "attribution/contrastive_rule.h"

/* The sums P and N, which become the shares of R+ (of the positive and of the negative terms); and the shares of R-. */
enum { POSITIVE = SC_TERMS_BUFFERS, NEGATIVE, OTHER_POSITIVE, OTHER_NEGATIVE };

typedef struct shares {
    sc_real *positive, *negative;             /* of R+ */
    sc_real *other_positive, *other_negative; /* of R- */
} shares;

/* Per unit of magnitude: what the positive and the negative terms of one output take of either relevance. */
typedef struct share {
    double positive, negative, other_positive, other_negative;
} share;

static share divide_one(double p, double n, double b, double r, double other) {
    share s = {0, 0, 0, 0};
    if (!(n > 0) && !(p > 0))
        return s;
    if (!(n > 0))
        return (share){r / p, 0, other / p, 0};
    if (!(p > 0))
        return (share){0, r / n, 0, other / n};
    double t = p - n + b;
    bool straight = t > 0 ? r > other : r < other;
    if (t == 0)
        return s;
    return straight ? (share){r / p, 0, 0, other / n} : (share){0, r / n, other / p, 0};
}

static void divide(const shares *s, const sc_signed_terms *terms, const sc_real *other) {
    size_t count = terms->call->batch * sc_call_output_reals(terms->call);
    const sc_real *bias = terms->bias, *r = terms->call->output_grad;
#pragma omp parallel for schedule(static) if (count > 4096)
    for (size_t i = 0; i < count; i++) {
        double b = bias ? (double)bias[i / terms->inner % terms->units] : 0;
        share one = divide_one((double)s->positive[i], (double)s->negative[i], b, (double)r[i], (double)other[i]);
        s->positive[i] = (sc_real)one.positive;
        s->negative[i] = (sc_real)one.negative;
        s->other_positive[i] = (sc_real)one.other_positive;
        s->other_negative[i] = (sc_real)one.other_negative;
    }
}

static sc_status apply(const sc_signed_terms *terms, const sc_op_call *other, sc_error *error) {
    shares s;
    size_t count = terms->call->batch * sc_call_output_reals(terms->call);
    sc_real **buffers[] = {&s.positive, &s.negative, &s.other_positive, &s.other_negative};
    for (int i = 0; i < 4; i++)
        SC_TRY(sc_workspace_get(buffers[i], terms->workspace, POSITIVE + i, count, error));
    SC_TRY(sc_signed_terms_sum(s.positive, terms, false, error));
    SC_TRY(sc_signed_terms_sum(s.negative, terms, true, error));
    divide(&s, terms, other->output_grad);
    SC_TRY(sc_signed_terms_backward(terms->call->input_grad, terms, false, s.positive, error));
    SC_TRY(sc_signed_terms_backward(terms->call->input_grad, terms, true, s.negative, error));
    SC_TRY(sc_signed_terms_backward(other->input_grad, terms, false, s.other_positive, error));
    return sc_signed_terms_backward(other->input_grad, terms, true, s.other_negative, error);
}

sc_status sc_contrastive_rule_apply(const sc_graph *graph, const sc_node *node, const sc_op_call *call,
                                    const sc_op_call *other, sc_modified **modified, sc_workspace *workspace,
                                    sc_error *error) {
    size_t chunk = sc_workspace_chunk(call);
    for (size_t first = 0; first < call->batch; first += chunk) {
        sc_op_call slice = sc_call_slice(call, first, chunk), other_slice = sc_call_slice(other, first, chunk);
        sc_signed_terms terms;
        SC_TRY(sc_signed_terms_init(&terms, graph, node, &slice, modified, workspace, error));
        SC_TRY(apply(&terms, &other_slice, error));
    }
    return SC_OK;
}
