#include "attribution/linear_rule.h"
#include "base/span.h"

enum { WEIGHT, BIAS };
enum { INPUTS, POSITIVE, NEGATIVE, PART, BACK }; /* buffers of the workspace */

static const sc_modifier above = {.positive = 1}, below = {.negative = 1};
static const sc_modifier minus_above = {.positive = -1}, minus_below = {.negative = -1};

/* The four kinds of terms: (x+ W+), (x- W-) are positive, (x+ W-), (x- W+) negative; the weights of the latter carry a
 * minus, so that all sums are magnitudes. */
static const struct {
    const sc_modifier *input, *weight;
} terms[4] = {{&above, &above}, {&below, &below}, {&above, &minus_below}, {&below, &minus_above}};

typedef struct job {
    const sc_graph *graph;
    const sc_node *node;
    const sc_node *activation; /* NULL: all gates open */
    const sc_op_call *call;    /* the slice */
    sc_modified **modified;
    sc_workspace *workspace;
    sc_error *error;
} job;

static size_t input_numel(const job *j) {
    return j->call->batch * sc_call_input_reals(j->call);
}

static size_t output_numel(const job *j) {
    return j->call->batch * sc_call_output_reals(j->call);
}

static sc_status modify(sc_op_call *out, const job *j, int term) {
    sc_real *input, *weight;
    *out = *j->call;
    SC_TRY(sc_workspace_get(&input, j->workspace, INPUTS, input_numel(j), j->error));
    sc_modifier_apply(input, j->call->input[0], terms[term].input, input_numel(j));
    SC_TRY(sc_modified_get(&weight, j->modified, j->graph, j->node, WEIGHT, terms[term].weight, j->error));
    out->input[0] = input;
    out->param[WEIGHT] = weight;
    out->param[BIAS] = NULL;
    return SC_OK;
}

/* sum = the forward passes of two terms. */
static sc_status add_terms(sc_real *sum, const job *j, int term) {
    sc_op_call call;
    sc_real *part;
    SC_TRY(sc_workspace_get(&part, j->workspace, PART, output_numel(j), j->error));
    SC_TRY(modify(&call, j, term));
    call.output = sum;
    j->node->op->forward(&call);
    SC_TRY(modify(&call, j, term + 1));
    call.output = part;
    j->node->op->forward(&call);
    sc_add_scaled(sum, part, 1, output_numel(j));
    return SC_OK;
}

/* Which shares are shut off at one output. */
static void decide(bool *open_positive, bool *open_negative, const sc_node *activation, double p, double n, double b) {
    *open_positive = *open_negative = true;
    if (!activation)
        return;
    const sc_op *op = activation->op;
    double t = p - n + b;
    if (op->saturation_low != 0 || op->saturation_high != 0) {
        *open_positive = t >= op->saturation_low;
        *open_negative = t <= op->saturation_high;
    }
    if (!op->monotonic) {
        double y = op->activation(activation->attrs, t);
        *open_negative &= y != op->activation(activation->attrs, p + (b > 0 ? b : 0));
        *open_positive &= y != op->activation(activation->attrs, -n + (b < 0 ? b : 0));
    }
}

/* Turns the sums P and N into the shares of positive and of negative terms, in place. */
static void divide(sc_real *p, sc_real *n, const job *j) {
    size_t count = output_numel(j), per_sample = sc_call_output_reals(j->call);
    const sc_shape *shape = j->call->output_shape;
    size_t inner = 1, units = shape->size[shape->ndim - 1];
    if (j->node->op->unit_axis == 0) {
        units = shape->size[0];
        inner = per_sample / units;
    }
    const sc_real *bias = j->call->param[BIAS], *r = j->call->output_grad;
#pragma omp parallel for schedule(static) if (count > 4096)
    for (size_t i = 0; i < count; i++) {
        double b = bias ? (double)bias[i / inner % units] : 0;
        bool positive, negative;
        decide(&positive, &negative, j->activation, (double)p[i], (double)n[i], b);
        double d = (positive ? (double)p[i] : 0) + (negative ? (double)n[i] : 0) + (b < 0 ? -b : b);
        double shared = d > 0 ? (double)r[i] / d : 0;
        p[i] = (sc_real)(positive ? shared : 0);
        n[i] = (sc_real)(negative ? shared : 0);
    }
}

static sc_status hand_back(const job *j, int term, const sc_real *shares) {
    sc_op_call call;
    sc_real *back;
    SC_TRY(modify(&call, j, term));
    SC_TRY(sc_workspace_get(&back, j->workspace, BACK, input_numel(j), j->error));
    sc_fill(back, 0, input_numel(j));
    call.output_grad = shares;
    call.input_grad[0] = back;
    j->node->op->backward(&call);
    sc_add_product(j->call->input_grad[0], call.input[0], back, input_numel(j));
    return SC_OK;
}

static sc_status apply(const job *j) {
    sc_real *p, *n;
    if (!j->call->input_grad[0])
        return SC_OK;
    SC_TRY(sc_workspace_get(&p, j->workspace, POSITIVE, output_numel(j), j->error));
    SC_TRY(sc_workspace_get(&n, j->workspace, NEGATIVE, output_numel(j), j->error));
    SC_TRY(add_terms(p, j, 0));
    SC_TRY(add_terms(n, j, 2));
    divide(p, n, j);
    for (int term = 0; term < 4; term++)
        SC_TRY(hand_back(j, term, term < 2 ? p : n));
    return SC_OK;
}

sc_status sc_gated_rule_apply(const sc_graph *graph, const sc_node *node, const sc_op_call *call,
                              sc_modified **modified, sc_workspace *workspace, sc_error *error) {
    ptrdiff_t next = sc_graph_only_consumer(graph, (size_t)(node - graph->nodes));
    const sc_node *activation = next != SC_NOT_FOUND && graph->nodes[next].op->activation ? &graph->nodes[next] : NULL;
    if (activation && activation->op->monotonic && activation->op->saturation_low == 0 &&
        activation->op->saturation_high == 0)
        activation = NULL;
    size_t chunk = sc_workspace_chunk(call);
    for (size_t first = 0; first < call->batch; first += chunk) {
        sc_op_call slice = sc_call_slice(call, first, call->batch - first < chunk ? call->batch - first : chunk);
        job j = {graph, node, activation, &slice, modified, workspace, error};
        SC_TRY(apply(&j));
    }
    return SC_OK;
}
