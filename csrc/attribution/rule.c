#include "attribution/rule.h"

#include <string.h>

bool sc_group_is_plain(const sc_group *group) {
    const sc_term *term = &group->terms[0];
    return group->term_count == 1 && sc_modifier_is_plain(&term->input) && sc_modifier_is_plain(&term->weight) &&
           sc_modifier_is_plain(&term->bias);
}

static unsigned linear_needs(const sc_rule *rule) {
    unsigned needs = 0;
    for (int g = 0; g < rule->group_count; g++) {
        needs |= SC_NEEDS_INPUT;
        if (rule->groups[g].gate != SC_GATE_ALL || sc_group_is_plain(&rule->groups[g]))
            needs |= SC_NEEDS_OUTPUT;
    }
    return needs;
}

unsigned sc_rule_needs(const sc_rule *rule, const sc_op *op) {
    switch (rule->kind) {
    case SC_RULE_LINEAR:
        return linear_needs(rule);
    case SC_RULE_GATED:
    case SC_RULE_CONTRASTIVE:
        return SC_NEEDS_INPUT;
    case SC_RULE_GRADIENT:
        return op->needs & (SC_NEEDS_INPUT | SC_NEEDS_OUTPUT);
    case SC_RULE_OWN:
        return op->relevance_needs;
    case SC_RULE_PASS:
    case SC_RULE_BLOCK:
        return 0;
    }
    return 0;
}

bool sc_rule_needs_exact_sums(const sc_rule *rule) {
    bool wants = rule->kind == SC_RULE_GATED || rule->kind == SC_RULE_CONTRASTIVE;
    for (int g = 0; rule->kind == SC_RULE_LINEAR && g < rule->group_count; g++)
        wants |= rule->groups[g].epsilon == 0;
    return wants;
}

/* One input, and as many numbers out as in. */
static bool can_pass(const sc_graph *graph, const sc_node *node) {
    return node->input_count == 1 && node->op->linearity != SC_LINEARITY_WEIGHTED &&
           sc_shape_numel(&graph->nodes[node->input[0]].shape) == sc_shape_numel(&node->shape);
}

/* Whether constants stand where there are channels for them: at inputs, all of whose channels they are of. */
static bool constants_fit(const sc_rule *rule, const sc_graph *graph, const sc_node *node) {
    for (int g = 0; rule->kind == SC_RULE_LINEAR && g < rule->group_count; g++)
        for (int t = 0; t < rule->groups[g].term_count; t++) {
            const sc_term *term = &rule->groups[g].terms[t];
            if (term->weight.constant_count > 0 || term->bias.constant_count > 0)
                return false;
            for (int k = 0; term->input.constant_count > 0 && k < node->input_count; k++) {
                const sc_shape *shape = &graph->nodes[node->input[k]].shape;
                if (shape->ndim < 1 || shape->ndim == 2 || shape->size[0] != (size_t)term->input.constant_count)
                    return false;
            }
        }
    return true;
}

sc_status sc_rule_check(const sc_rule *rule, const sc_graph *graph, const sc_node *node, bool second_relevance,
                        sc_error *error) {
    const sc_op *op = node->op;
    bool linear = op->linearity == SC_LINEARITY_WEIGHTED || op->linearity == SC_LINEARITY_FIXED ||
                  op->linearity == SC_LINEARITY_ROUTING;
    const char *expected = NULL;
    if (rule->kind == SC_RULE_LINEAR && !linear)
        expected = "a rule for a nonlinear operation, got one for linear maps";
    else if (rule->kind == SC_RULE_GATED && op->linearity != SC_LINEARITY_WEIGHTED && !op->channel_affine)
        expected = "a rule for an operation without weights, got one that gates weights";
    else if (rule->kind == SC_RULE_CONTRASTIVE && !second_relevance)
        expected = "a rule for one relevance, got one for the contrastive mode";
    else if (rule->kind == SC_RULE_CONTRASTIVE && op->linearity != SC_LINEARITY_WEIGHTED &&
             op->linearity != SC_LINEARITY_FIXED)
        expected = "a rule that applies here, got one that splits terms by their sign";
    else if (rule->kind == SC_RULE_OWN && !op->relevance)
        expected = "a rule that applies here, got one for operations with a rule of their own";
    else if (rule->kind == SC_RULE_PASS && !can_pass(graph, node))
        expected = "a rule that shares relevance among inputs, got pass";
    else if (!constants_fit(rule, graph, node))
        expected = "constants of inputs alone, one for each of their channels, got others";
    if (!expected)
        return SC_OK;
    return sc_error_set(error, SC_ERROR_ARGUMENT, "%s '%s': rule: expected %s", op->name, node->name, expected);
}

bool sc_modifier_equal(const sc_modifier *a, const sc_modifier *b) {
    return a->plain == b->plain && a->positive == b->positive && a->negative == b->negative && a->square == b->square &&
           a->constant == b->constant && a->constant_count == b->constant_count &&
           memcmp(a->constants, b->constants, (size_t)a->constant_count * sizeof *a->constants) == 0;
}

bool sc_modifier_is_plain(const sc_modifier *m) {
    const sc_modifier plain = {.plain = 1};
    return sc_modifier_equal(m, &plain);
}

bool sc_modifier_zeroes_positive(const sc_modifier *m) {
    return m->plain == 0 && m->positive == 0 && m->square == 0 && m->constant == 0 && m->constant_count == 0;
}

bool sc_modifier_zeroes_negative(const sc_modifier *m) {
    return m->plain == 0 && m->negative == 0 && m->square == 0 && m->constant == 0 && m->constant_count == 0;
}

bool sc_modifier_is_magnitude(const sc_modifier *m) {
    return m->plain + m->positive >= 0 && m->plain + m->negative <= 0 && m->square >= 0 && m->constant >= 0 &&
           m->constant_count == 0;
}

double sc_modifier_at_one(const sc_modifier *m) {
    return m->plain + m->positive + m->square + m->constant;
}

bool sc_modifier_is_zero(const sc_modifier *m) {
    return sc_modifier_zeroes_positive(m) && m->negative == 0;
}

static void apply(sc_real *out, const sc_real *v, sc_real above, sc_real below, sc_real square, sc_real constant,
                  size_t count) {
    for (size_t i = 0; i < count; i++) {
        sc_real x = v[i];
        out[i] = (x > 0 ? above : below) * x + square * x * x + constant;
    }
}

void sc_modifier_apply(sc_real *out, const sc_real *v, const sc_modifier *m, size_t count) {
    const size_t chunk = 1 << 14;
    sc_real above = (sc_real)(m->plain + m->positive), below = (sc_real)(m->plain + m->negative);
#pragma omp parallel for schedule(static) if (count > 4 * chunk)
    for (size_t first = 0; first < count; first += chunk)
        apply(out + first, v + first, above, below, (sc_real)m->square, (sc_real)m->constant,
              count - first < chunk ? count - first : chunk);
}

void sc_modifier_add_constants(sc_real *out, const sc_modifier *m, size_t n, size_t area) {
    for (size_t i = 0; i < n * (size_t)m->constant_count; i++) {
        sc_real constant = (sc_real)m->constants[i % (size_t)m->constant_count];
        for (size_t p = 0; p < area; p++)
            out[i * area + p] += constant;
    }
}
