/* Relevance rules as data.
 *
 * For an operation that is linear in its input, every rule has the form (DESIGN.md, "N operations + M rules")
 *
 *     R_in = sum over groups g of  c_g  sum over terms t of  x'_t * B_t(gate_g(R_out) / stab(sum over t of F_t))
 *
 * with F_t the operation's own forward on the modified input x'_t and weights W'_t (and bias b'_t), and B_t its own
 * input-backward with W'_t. So a rule is the modifiers of its terms, and new ones need no code. */
#ifndef SC_ATTRIBUTION_RULE_H
#define SC_ATTRIBUTION_RULE_H

#include "graph/graph.h"

enum { SC_MAX_CONSTANTS = 16 };

/* v -> plain v + positive max(v, 0) + negative min(v, 0) + square v^2 + constant, and of inputs in channel c
 * + constants[c], where there are any. */
typedef struct sc_modifier {
    double plain, positive, negative, square, constant;
    int constant_count; /* 0, or as many as the input, a map or a vector, has channels */
    double constants[SC_MAX_CONSTANTS];
} sc_modifier;

typedef struct sc_term {
    sc_modifier input, weight, bias;
} sc_term;

typedef enum sc_gate {
    SC_GATE_ALL,
    SC_GATE_POSITIVE, /* only where the unmodified output is above 0 */
    SC_GATE_NEGATIVE, /* only where it is below 0 */
} sc_gate;

enum { SC_MAX_TERMS = 4, SC_MAX_GROUPS = 4 };

typedef struct sc_group {
    double coefficient;
    sc_gate gate;
    double epsilon; /* of the stabiliser; with 0, a denominator of 0 passes nothing on */
    int term_count;
    sc_term terms[SC_MAX_TERMS];
} sc_group;

typedef enum sc_rule_kind {
    SC_RULE_LINEAR,      /* the form above */
    SC_RULE_GATED,       /* DL-Backtrace with the saturation gates of the activation that follows, see gated_rule.h */
    SC_RULE_CONTRASTIVE, /* DL-Backtrace with two relevances, see contrastive_rule.h */
    SC_RULE_GRADIENT,    /* relevance is handed on as a gradient is */
    SC_RULE_PASS,        /* unchanged */
    SC_RULE_OWN,         /* the operation's own relevance(), in some mode */
    SC_RULE_BLOCK,       /* nothing passes */
} sc_rule_kind;

/* Variants of SC_RULE_GATED. */
typedef enum sc_gated_mode {
    SC_GATED_DEFAULT, /* as the method is meant */
    SC_GATED_PACKAGE, /* as the package dl_backtrace computes it */
} sc_gated_mode;

typedef struct sc_rule {
    sc_rule_kind kind;
    sc_gated_mode gated; /* SC_RULE_GATED */
    int group_count;     /* SC_RULE_LINEAR */
    sc_group groups[SC_MAX_GROUPS];
    sc_relevance_mode mode; /* SC_RULE_OWN */
    double epsilon;         /* SC_RULE_OWN */
} sc_rule;

/* What the backward pass must find in place for this rule at this node: SC_NEEDS_*. */
unsigned sc_rule_needs(const sc_rule *rule, const sc_op *op);

/* Whether the group's sum is the output itself: its one term changes nothing. */
bool sc_group_is_plain(const sc_group *group);

/* Whether the rule divides by sums as they are, so that what is zero has to come out as zero, in the forward pass too.
 */
bool sc_rule_needs_exact_sums(const sc_rule *rule);

/* Whether the rule can stand at this operation, in a pass with one relevance or with two; else an error "op 'node':
 * rule: expected ..., got ...". */
sc_status sc_rule_check(const sc_rule *rule, const sc_graph *graph, const sc_node *node, bool second_relevance,
                        sc_error *error);

/* Whether both change every number alike. */
bool sc_modifier_equal(const sc_modifier *a, const sc_modifier *b);

/* Whether it changes nothing; makes 0 of every v >= 0; of every v <= 0; of every v; makes of no v less than 0. */
bool sc_modifier_is_plain(const sc_modifier *m);
bool sc_modifier_zeroes_positive(const sc_modifier *m);
bool sc_modifier_zeroes_negative(const sc_modifier *m);
bool sc_modifier_is_zero(const sc_modifier *m);
bool sc_modifier_is_magnitude(const sc_modifier *m);

/* What it makes of 1: of the weights of sums, and in proportion of those of averages. */
double sc_modifier_at_one(const sc_modifier *m);

/* out[count] = m(v[count]) without its constants; out may be v. */
void sc_modifier_apply(sc_real *out, const sc_real *v, const sc_modifier *m, size_t count);

/* out[n x constant_count x area] += constants. */
void sc_modifier_add_constants(sc_real *out, const sc_modifier *m, size_t n, size_t area);

#endif
