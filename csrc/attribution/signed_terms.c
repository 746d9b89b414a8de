#include "attribution/signed_terms.h"

#include "base/hot.h"
#include "base/span.h"

enum { WEIGHT, BIAS };

static const sc_modifier plain = {.plain = 1}, above = {.positive = 1}, below = {.negative = 1};
static const sc_modifier minus_above = {.positive = -1}, minus_below = {.negative = -1};

typedef struct factors {
    const sc_modifier *input, *weight; /* NULL: no such term */
    bool of_below;                     /* 0 unless some input is below 0 */
} factors;

/* By sign of the term. (x+ W+), (x- W-) are positive, (x+ W-), (x- W+) negative; the weights of the latter carry a
 * minus, so that all sums are magnitudes. Weights of sums and averages are positive, and stay as they are. */
static const factors weighted[2][2] = {{{&above, &above, false}, {&below, &below, true}},
                                       {{&above, &minus_below, false}, {&below, &minus_above, true}}};
static const factors fixed[2][2] = {{{&above, &plain, false}, {NULL, NULL, false}},
                                    {{&minus_below, &plain, true}, {NULL, NULL, false}}};

static size_t input_numel(const sc_signed_terms *terms, int k) {
    return terms->call->batch * sc_shape_numel(terms->call->input_shape[k]);
}

static size_t output_numel(const sc_signed_terms *terms) {
    return terms->call->batch * sc_call_output_reals(terms->call);
}

SC_HOT static bool any_below(const sc_real *x, size_t count) {
    for (size_t first = 0; first < count; first += 4096) {
        size_t last = first + 4096 < count ? first + 4096 : count;
        int found = 0;
        for (size_t i = first; i < last; i++)
            found |= x[i] < 0;
        if (found)
            return true;
    }
    return false;
}

sc_signed_terms sc_signed_terms_of(const sc_graph *graph, const sc_node *node, const sc_op_call *call,
                                   sc_modified **modified, sc_workspace *workspace) {
    sc_signed_terms terms = {graph, node, call, modified, workspace, false};
    for (int k = 0; k < call->input_count && !terms.below; k++)
        terms.below = any_below(call->input[k], input_numel(&terms, k));
    return terms;
}

bool sc_has_signed_terms(const sc_op *op) {
    return op->map == SC_MAP_WEIGHTED || (op->map == SC_MAP_FIXED && !op->channel_affine);
}

/* The factors of the term in that place, or NULL when there is none, or nothing but zeros in it. */
static const factors *present(const sc_signed_terms *terms, bool negative, int place) {
    const factors *f = &(terms->node->op->map == SC_MAP_WEIGHTED ? weighted : fixed)[negative][place];
    return f->input && (terms->below || !f->of_below) ? f : NULL;
}

/* The call with modified inputs and weights, without bias. */
static sc_status modify(sc_op_call *out, const sc_signed_terms *terms, const factors *f, sc_error *error) {
    sc_real *buffer;
    *out = *terms->call;
    out->exact = true; /* a sum of zeros must be zero: relevance is divided by it as it is */
    SC_TRY(sc_workspace_get(&buffer, terms->workspace, SC_TERMS_INPUTS,
                            terms->call->batch * sc_call_input_reals(terms->call), error));
    for (int k = 0; k < out->input_count; k++) {
        sc_modifier_apply(buffer, terms->call->input[k], f->input, input_numel(terms, k));
        out->input[k] = buffer;
        buffer += input_numel(terms, k);
    }
    if (terms->node->op->map != SC_MAP_WEIGHTED)
        return SC_OK;
    sc_real *weight;
    SC_TRY(sc_modified_get(&weight, terms->modified, terms->graph, terms->node, WEIGHT, f->weight, error));
    out->param[WEIGHT] = weight;
    out->param[BIAS] = NULL;
    return SC_OK;
}

sc_status sc_signed_terms_sum(sc_real *sum, const sc_signed_terms *terms, bool negative, sc_error *error) {
    bool first = true;
    for (int place = 0; place < 2; place++) {
        const factors *f = present(terms, negative, place);
        sc_op_call call;
        if (!f)
            continue;
        SC_TRY(modify(&call, terms, f, error));
        call.output = sum;
        if (!first)
            SC_TRY(sc_workspace_get(&call.output, terms->workspace, SC_TERMS_PART, output_numel(terms), error));
        terms->node->op->forward(&call);
        if (!first)
            sc_add_scaled(sum, call.output, 1, output_numel(terms));
        first = false;
    }
    if (first)
        sc_fill(sum, 0, output_numel(terms));
    return SC_OK;
}

sc_status sc_signed_terms_hand_back(sc_real *const *into, const sc_signed_terms *terms, bool negative,
                                    const sc_real *shares, sc_error *error) {
    for (int place = 0; place < 2; place++) {
        const factors *f = present(terms, negative, place);
        sc_op_call call;
        sc_real *back;
        size_t numel = terms->call->batch * sc_call_input_reals(terms->call);
        if (!f)
            continue;
        SC_TRY(modify(&call, terms, f, error));
        SC_TRY(sc_workspace_get(&back, terms->workspace, SC_TERMS_BACK, numel, error));
        sc_fill(back, 0, numel);
        call.output_grad = shares;
        for (int k = 0; k < call.input_count; k++) {
            call.input_grad[k] = into[k] ? back : NULL;
            back += input_numel(terms, k);
        }
        terms->node->op->backward(&call);
        for (int k = 0; k < call.input_count; k++)
            if (into[k])
                sc_add_product(into[k], call.input[k], call.input_grad[k], input_numel(terms, k));
    }
    return SC_OK;
}

const sc_real *sc_signed_terms_bias(const sc_signed_terms *terms, size_t *bias_count, size_t *inner) {
    const sc_shape *shape = terms->call->output_shape;
    bool maps = terms->node->op->unit_axis == 0;
    *bias_count = maps ? shape->size[0] : shape->size[shape->ndim - 1];
    *inner = maps ? sc_shape_numel(shape) / *bias_count : 1;
    return terms->node->op->map == SC_MAP_WEIGHTED ? terms->call->param[BIAS] : NULL;
}
