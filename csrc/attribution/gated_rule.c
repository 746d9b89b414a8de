#include "attribution/gated_rule.h"

#include <math.h>

static const double PACKAGE_EQUAL = 1e-5;

enum { POSITIVE = SC_TERMS_BUFFERS, NEGATIVE };

static bool bounded(const sc_op *op) {
    return op->saturation_low != 0 || op->saturation_high != 0;
}

/* The activation that decides, or NULL where all gates are open. */
static const sc_node *find_activation(const sc_graph *graph, size_t node, sc_gated_mode mode) {
    ptrdiff_t next = sc_graph_only_consumer(graph, node);
    while (mode == SC_GATED_DEFAULT && next != SC_NOT_FOUND &&
           graph->nodes[next].op->linearity == SC_LINEARITY_ELEMENTWISE &&
           !graph->nodes[next].op->activation) /* a dropout changes nothing here */
        next = sc_graph_only_consumer(graph, (size_t)next);
    if (next == SC_NOT_FOUND)
        return NULL;
    const sc_op *op = graph->nodes[next].op;
    bool decides = mode == SC_GATED_PACKAGE ? bounded(op) || op->package_activation
                                            : op->activation && (bounded(op) || !op->monotonic);
    return decides ? &graph->nodes[next] : NULL;
}

bool sc_gated_rule_has_gates(const sc_graph *graph, size_t node, sc_gated_mode mode) {
    return find_activation(graph, node, mode) != NULL;
}

/* One output: its sums, and what it needs to decide. */
typedef struct output {
    double p, n, b;
} output;

/* Whether shares are open, and whether those shut off stay in the denominator. */
typedef struct gates {
    bool positive, negative, whole;
} gates;

static gates decide_default(const sc_node *activation, output o) {
    gates g = {true, true, false};
    const sc_op *op = activation->op;
    double t = o.p - o.n + o.b;
    if (bounded(op)) {
        g.positive = t >= op->saturation_low;
        g.negative = t <= op->saturation_high;
    }
    if (!op->monotonic) {
        sc_real y = (sc_real)op->activation(activation->attrs, t);
        g.negative &= y != (sc_real)op->activation(activation->attrs, o.p + (o.b > 0 ? o.b : 0));
        g.positive &= y != (sc_real)op->activation(activation->attrs, -o.n + (o.b < 0 ? o.b : 0));
    }
    return g;
}

/* The package's `non_mono`: of linear layers one gate at most is closed, and only where both shares are there. */
static gates decide_swish(const sc_op *op, output o, bool maps) {
    double from_positive = op->package_activation(o.p + (o.b > 0 ? o.b : 0));
    double from_negative = op->package_activation(-o.n + (o.b < 0 ? o.b : 0));
    double t = maps ? o.p + o.n : o.p - o.n + o.b, y = op->package_activation(t);
    if (maps)
        return (gates){t > op->package_low && fabs(y - from_negative) > PACKAGE_EQUAL,
                       fabs(y - from_positive) > PACKAGE_EQUAL, true};
    gates g = {t >= op->package_low, true, false};
    if (g.positive && o.p > 0 && o.n > 0) {
        g.negative = (sc_real)y != (sc_real)from_positive;
        g.positive = !g.negative || (sc_real)y != (sc_real)from_negative;
    }
    return g;
}

static gates decide_as_package(const sc_node *activation, output o, bool maps) {
    if (activation->op->package_activation)
        return decide_swish(activation->op, o, maps);
    double low = activation->op->saturation_low, high = activation->op->saturation_high;
    if (maps)
        return (gates){low == 0 || o.p + o.n > low, high == 0 || o.p + o.n < high, true};
    double t = o.p - o.n + o.b;
    return (gates){low == 0 || t >= low, high == 0 || t <= high, false};
}

/* Turns the sums P and N into the shares of positive and of negative terms, in place. */
static void divide(sc_real *p, sc_real *n, const sc_signed_terms *terms, const sc_node *activation,
                   sc_gated_mode mode) {
    size_t count = terms->call->batch * sc_call_output_reals(terms->call);
    const sc_real *bias = terms->bias, *r = terms->call->output_grad;
    bool maps = terms->node->op->unit_axis == 0;
#pragma omp parallel for schedule(static) if (count > 4096)
    for (size_t i = 0; i < count; i++) {
        output o = {(double)p[i], (double)n[i], bias ? (double)bias[i / terms->inner % terms->units] : 0};
        gates g = {true, true, false};
        if (activation)
            g = mode == SC_GATED_PACKAGE ? decide_as_package(activation, o, maps) : decide_default(activation, o);
        double d = (g.positive || g.whole ? o.p : 0) + (g.negative || g.whole ? o.n : 0) + (o.b < 0 ? -o.b : o.b);
        double shared = d > 0 ? (double)r[i] / d : 0;
        p[i] = (sc_real)(g.positive ? shared : 0);
        n[i] = (sc_real)(g.negative ? shared : 0);
    }
}

static sc_status apply(const sc_signed_terms *terms, const sc_node *activation, sc_gated_mode mode, sc_error *error) {
    sc_real *p, *n;
    size_t count = terms->call->batch * sc_call_output_reals(terms->call);
    SC_TRY(sc_workspace_get(&p, terms->workspace, POSITIVE, count, error));
    SC_TRY(sc_workspace_get(&n, terms->workspace, NEGATIVE, count, error));
    SC_TRY(sc_signed_terms_sum(p, terms, false, error));
    SC_TRY(sc_signed_terms_sum(n, terms, true, error));
    divide(p, n, terms, activation, mode);
    SC_TRY(sc_signed_terms_backward(terms->call->input_grad, terms, false, p, error));
    return sc_signed_terms_backward(terms->call->input_grad, terms, true, n, error);
}

sc_status sc_gated_rule_apply(sc_gated_mode mode, const sc_graph *graph, const sc_node *node, const sc_op_call *call,
                              sc_modified **modified, sc_workspace *workspace, sc_error *error) {
    const sc_node *activation = find_activation(graph, (size_t)(node - graph->nodes), mode);
    if (!call->input_grad[0])
        return SC_OK;
    size_t chunk = sc_workspace_chunk(call);
    for (size_t first = 0; first < call->batch; first += chunk) {
        sc_op_call slice = sc_call_slice(call, first, chunk);
        sc_signed_terms terms;
        SC_TRY(sc_signed_terms_init(&terms, graph, node, &slice, modified, workspace, error));
        SC_TRY(apply(&terms, activation, mode, error));
    }
    return SC_OK;
}
