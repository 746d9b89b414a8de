#include "attribution/linear_rule.h"

#include "base/vector.h"
#include "graph/executor.h"

enum { WEIGHT, BIAS };
enum { INPUTS, SUM, PART, SHARES, BACK }; /* buffers of the workspace */

/* Everything that applying one rule to one slice of the batch needs. */
typedef struct job {
    const sc_graph *graph;
    const sc_node *node;
    const sc_op_call *call; /* the slice */
    sc_modified **modified;
    sc_workspace *workspace;
    bool below;           /* some input is below 0 */
    sc_accuracy accuracy; /* see bounds_shares */
    bool uninitialised;   /* nothing has been propagated yet, and the gradients are uninitialised */
    sc_error *error;
} job;

static size_t input_numel(const job *j, int k) {
    return j->call->batch * sc_shape_numel(j->call->input_shape[k]);
}

static size_t output_numel(const job *j) {
    return j->call->batch * sc_call_output_reals(j->call);
}

/* Sums and averages have no parameters; their weights are positive, and the term's modifier scales them. */
static sc_real factor(const job *j, const sc_term *term) {
    return j->node->op->linearity == SC_LINEARITY_WEIGHTED ? 1 : (sc_real)sc_modifier_at_one(&term->weight);
}

/* Whether the term is nothing but zeros. */
static bool is_zero_term(const job *j, const sc_term *term) {
    if (factor(j, term) == 0)
        return true;
    if (!sc_modifier_zeroes_positive(&term->input))
        return false;
    if (j->node->param[BIAS].present && j->node->op->linearity == SC_LINEARITY_WEIGHTED &&
        !sc_modifier_is_zero(&term->bias))
        return false;
    return !j->below;
}

/* Whether the inputs are what the modifier makes of them. */
static bool leaves_inputs(const job *j, const sc_modifier *m) {
    bool scales = m->square == 0 && m->constant == 0 && m->constant_count == 0;
    return sc_modifier_is_plain(m) || (!j->below && scales && m->plain + m->positive == 1);
}

static sc_status modify_inputs(sc_op_call *out, const job *j, const sc_modifier *modifier) {
    sc_real *buffer;
    SC_TRY(sc_workspace_get(&buffer, j->workspace, INPUTS, j->call->batch * sc_call_input_reals(j->call), j->error));
    for (int k = 0; k < out->input_count; k++) {
        sc_modifier_apply(buffer, j->call->input[k], modifier, input_numel(j, k));
        if (modifier->constant_count > 0) {
            size_t images = j->call->batch * (size_t)modifier->constant_count;
            sc_modifier_add_constants(buffer, modifier, j->call->batch, input_numel(j, k) / images);
        }
        out->input[k] = buffer;
        buffer += input_numel(j, k);
    }
    return SC_OK;
}

/* The call with modified inputs and weights. */
static sc_status modify(sc_op_call *out, const job *j, const sc_term *term) {
    *out = *j->call;
    out->accuracy = j->accuracy;
    if (!leaves_inputs(j, &term->input))
        SC_TRY(modify_inputs(out, j, &term->input));
    if (j->node->op->linearity != SC_LINEARITY_WEIGHTED)
        return SC_OK;
    sc_real *weight, *bias;
    SC_TRY(sc_modified_get(&weight, j->modified, j->graph, j->node, WEIGHT, &term->weight, j->error));
    out->param[WEIGHT] = weight;
    SC_TRY(sc_modified_get(&bias, j->modified, j->graph, j->node, BIAS, &term->bias, j->error));
    out->param[BIAS] = sc_modifier_is_zero(&term->bias) ? NULL : bias;
    return SC_OK;
}

/* *z = the sum of the terms' forward passes. */
static sc_status sum_terms(const sc_real **z, const job *j, const sc_group *group, const bool *skip) {
    if (sc_group_is_plain(group)) {
        *z = j->call->output;
        return SC_OK;
    }
    sc_real *sum, *part;
    bool first = true;
    SC_TRY(sc_workspace_get(&sum, j->workspace, SUM, output_numel(j), j->error));
    SC_TRY(sc_workspace_get(&part, j->workspace, PART, output_numel(j), j->error));
    for (int t = 0; t < group->term_count; t++) {
        sc_op_call call;
        if (skip[t])
            continue;
        SC_TRY(modify(&call, j, &group->terms[t]));
        if (group->epsilon == 0) /* a sum of zeros must be zero */
            call.accuracy = SC_ACCURACY_EXACT;
        sc_real scale = factor(j, &group->terms[t]);
        call.output = first && scale == 1 ? sum : part;
        j->node->op->forward(&call);
        if (first && scale != 1)
            sc_fill(sum, 0, output_numel(j));
        if (call.output == part)
            sc_add_scaled(sum, part, scale, output_numel(j));
        first = false;
    }
    if (first)
        sc_fill(sum, 0, output_numel(j));
    *z = sum;
    return SC_OK;
}

static void share(sc_real *s, const sc_real *r, const sc_real *z, sc_real coefficient, sc_real epsilon, size_t count) {
    if (epsilon > 0)
        for (size_t i = 0; i < count; i++)
            s[i] = coefficient * r[i] / sc_stabilise(z[i], epsilon);
    else
        for (size_t i = 0; i < count; i++)
            s[i] = z[i] == 0 ? 0 : coefficient * r[i] / z[i];
}

static void gate(sc_real *s, const sc_real *output, sc_real sign, size_t count) {
    for (size_t i = 0; i < count; i++)
        s[i] = sign * output[i] > 0 ? s[i] : 0;
}

static void divide(sc_real *s, const job *j, const sc_group *group, const sc_real *z) {
    const size_t chunk = 1 << 14, count = output_numel(j);
    const sc_op_call *call = j->call;
#pragma omp parallel for schedule(static) if (count > 4 * chunk)
    for (size_t first = 0; first < count; first += chunk) {
        size_t n = count - first < chunk ? count - first : chunk;
        share(s + first, call->output_grad + first, z + first, (sc_real)group->coefficient, (sc_real)group->epsilon, n);
        if (group->gate != SC_GATE_ALL)
            gate(s + first, call->output + first, group->gate == SC_GATE_POSITIVE ? 1 : -1, n);
    }
}

static void scale_by(sc_real *x, sc_real scale, size_t count) {
    for (size_t i = 0; i < count; i++)
        x[i] *= scale;
}

/* Where B(shares) of a term goes, for all inputs: what is propagated first goes to its place, the rest to a buffer. */
static sc_status choose_targets(sc_op_call *call, const job *j) {
    sc_real *back = NULL;
    size_t reals = j->call->batch * sc_call_input_reals(j->call);
    if (!j->uninitialised)
        SC_TRY(sc_workspace_get(&back, j->workspace, BACK, reals, j->error));
    for (int k = 0; k < call->input_count; k++) {
        call->grad_uninitialised[k] = call->input_grad[k] != NULL;
        if (call->input_grad[k] && !j->uninitialised)
            call->input_grad[k] = back;
        if (!j->uninitialised)
            back += input_numel(j, k);
    }
    if (!j->node->op->writes_grad)
        sc_call_zero_uninitialised(call);
    return SC_OK;
}

/* R_in += x' * B(shares) for one term. */
static sc_status propagate(job *j, const sc_term *term, const sc_real *shares) {
    sc_op_call call;
    SC_TRY(modify(&call, j, term));
    call.output_grad = shares;
    SC_TRY(choose_targets(&call, j));
    j->node->op->backward(&call);
    sc_real scale = factor(j, term);
    for (int k = 0; k < call.input_count; k++) {
        if (call.input_grad[k] && scale != 1)
            scale_by(call.input_grad[k], scale, input_numel(j, k));
        if (call.input_grad[k] && j->uninitialised)
            sc_multiply(call.input_grad[k], call.input[k], input_numel(j, k));
        else if (call.input_grad[k])
            sc_add_product(j->call->input_grad[k], call.input[k], call.input_grad[k], input_numel(j, k));
    }
    j->uninitialised = false;
    return SC_OK;
}

/* Whether every product of a term is of one sign: as a rule a denominator is then not much smaller than the output that
 * relevance comes in proportion to, and shares stay moderate. (Bias and coefficients are not looked at: a bias that
 * cancels the sum makes shares large here, too.) Where terms of both signs meet, or only what counts against an output
 * is summed, a denominator near zero makes shares so large that their rounding, brought along by a fast product, would
 * drown what their neighbours get; there products are to be exact. */
static bool bounds_shares(const sc_group *group) {
    for (int t = 0; t < group->term_count; t++) {
        const sc_modifier *input = &group->terms[t].input, *weight = &group->terms[t].weight;
        bool above = sc_modifier_zeroes_negative(input) && sc_modifier_zeroes_negative(weight);
        bool below = sc_modifier_zeroes_positive(input) && sc_modifier_zeroes_positive(weight);
        bool magnitudes = sc_modifier_is_magnitude(input) && sc_modifier_is_magnitude(weight);
        if (!above && !below && !magnitudes)
            return false;
    }
    return true;
}

static sc_status apply_group(job *j, const sc_group *group) {
    j->accuracy = bounds_shares(group) ? j->call->accuracy : SC_ACCURACY_EXACT;
    bool skip[SC_MAX_TERMS];
    const sc_real *z;
    sc_real *shares;
    for (int t = 0; t < group->term_count; t++)
        skip[t] = is_zero_term(j, &group->terms[t]);
    SC_TRY(sum_terms(&z, j, group, skip));
    /* in place where the sum is ours: a buffer less to go through */
    SC_TRY(sc_workspace_get(&shares, j->workspace, z == j->call->output ? SHARES : SUM, output_numel(j), j->error));
    divide(shares, j, group, z);
    for (int t = 0; t < group->term_count; t++)
        if (!skip[t])
            SC_TRY(propagate(j, &group->terms[t], shares));
    return SC_OK;
}

static bool all_uninitialised(const sc_op_call *call) {
    for (int k = 0; k < call->input_count; k++)
        if (call->input_grad[k] && !call->grad_uninitialised[k])
            return false;
    return true;
}

sc_status sc_linear_rule_apply(const sc_rule *rule, const sc_graph *graph, const sc_node *node, const sc_op_call *call,
                               sc_modified **modified, sc_workspace *workspace, sc_error *error) {
    size_t chunk = sc_workspace_chunk(call);
    for (size_t first = 0; first < call->batch; first += chunk) {
        sc_op_call slice = sc_call_slice(call, first, chunk);
        job j = {graph,
                 node,
                 &slice,
                 modified,
                 workspace,
                 sc_call_has_negative(&slice),
                 SC_ACCURACY_FAST,
                 all_uninitialised(&slice),
                 error};
        if (!j.uninitialised)
            sc_call_zero_uninitialised(&slice);
        for (int g = 0; g < rule->group_count; g++)
            SC_TRY(apply_group(&j, &rule->groups[g]));
        if (j.uninitialised) /* no term propagated anything */
            sc_call_zero_uninitialised(&slice);
    }
    return SC_OK;
}
