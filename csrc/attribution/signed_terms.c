#include "attribution/signed_terms.h"

#include "base/vector.h"

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

/* Scale and shift of an operation that has them, in a buffer of the workspace: 2 doubles and a real per channel. */
static sc_status read_affine(sc_signed_terms *terms, sc_error *error) {
    const size_t reals = sizeof(double) / sizeof(sc_real);
    sc_real *buffer;
    SC_TRY(sc_workspace_get(&buffer, terms->workspace, SC_TERMS_AFFINE, (2 * reals + 1) * terms->units, error));
    double *scale = (double *)(void *)buffer, *shift = scale + terms->units;
    sc_real *bias = buffer + 2 * reals * terms->units;
    terms->node->op->channel_affine(terms->call, scale, shift);
    for (size_t c = 0; c < terms->units; c++)
        bias[c] = (sc_real)shift[c];
    terms->scale = scale;
    terms->bias = bias;
    return SC_OK;
}

sc_status sc_signed_terms_init(sc_signed_terms *out, const sc_graph *graph, const sc_node *node, const sc_op_call *call,
                               sc_modified **modified, sc_workspace *workspace, sc_error *error) {
    const sc_shape *shape = call->output_shape;
    bool maps = node->op->unit_axis == 0;
    *out = (sc_signed_terms){.graph = graph, .node = node, .call = call, .modified = modified, .workspace = workspace};
    out->units = maps ? shape->size[0] : shape->size[shape->ndim - 1];
    out->inner = maps ? sc_shape_numel(shape) / out->units : 1;
    if (node->op->channel_affine)
        return read_affine(out, error);
    if (node->op->linearity == SC_LINEARITY_WEIGHTED)
        out->bias = call->param[BIAS];
    out->below = sc_call_has_negative(call);
    return SC_OK;
}

/* y[i] = or += factor[i] |z_i| for the terms of one sign; a factor of NULL is 1. */
static void affine(sc_real *y, const sc_signed_terms *terms, bool negative, const sc_real *factor, bool add) {
    size_t count = output_numel(terms);
    const sc_real *x = terms->call->input[0];
#pragma omp parallel for schedule(static) if (count > 65536)
    for (size_t i = 0; i < count; i++) {
        double z = terms->scale[i / terms->inner % terms->units] * (double)x[i];
        double size = negative ? -z : z;
        double value = (size > 0 ? size : 0) * (factor ? (double)factor[i] : 1);
        y[i] = (sc_real)(add ? (double)y[i] + value : value);
    }
}

/* The factors of the term in that place, or NULL when there is none, or nothing but zeros in it. */
static const factors *present(const sc_signed_terms *terms, bool negative, int place) {
    const factors *f = &(terms->node->op->linearity == SC_LINEARITY_WEIGHTED ? weighted : fixed)[negative][place];
    return f->input && (terms->below || !f->of_below) ? f : NULL;
}

/* The call with modified inputs and weights, without bias. */
static sc_status modify(sc_op_call *out, const sc_signed_terms *terms, const factors *f, sc_error *error) {
    sc_real *buffer;
    *out = *terms->call;
    out->accuracy = SC_ACCURACY_EXACT; /* a sum of zeros must be zero: relevance is divided by it as it is */
    SC_TRY(sc_workspace_get(&buffer, terms->workspace, SC_TERMS_INPUTS,
                            terms->call->batch * sc_call_input_reals(terms->call), error));
    for (int k = 0; k < out->input_count; k++) {
        sc_modifier_apply(buffer, terms->call->input[k], f->input, input_numel(terms, k));
        out->input[k] = buffer;
        buffer += input_numel(terms, k);
    }
    if (terms->node->op->linearity != SC_LINEARITY_WEIGHTED)
        return SC_OK;
    sc_real *weight;
    SC_TRY(sc_modified_get(&weight, terms->modified, terms->graph, terms->node, WEIGHT, f->weight, error));
    out->param[WEIGHT] = weight;
    out->param[BIAS] = NULL;
    return SC_OK;
}

sc_status sc_signed_terms_sum(sc_real *sum, const sc_signed_terms *terms, bool negative, sc_error *error) {
    bool first = true;
    if (terms->scale) {
        affine(sum, terms, negative, NULL, false);
        return SC_OK;
    }
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

sc_status sc_signed_terms_backward(sc_real *const *into, const sc_signed_terms *terms, bool negative,
                                   const sc_real *shares, sc_error *error) {
    if (terms->scale && into[0])
        affine(into[0], terms, negative, shares, true);
    for (int place = 0; place < 2 && !terms->scale; place++) {
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
