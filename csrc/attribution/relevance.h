/* Relevance propagation: one forward run, one backward pass by the rules. LRP and DL-Backtrace are tables of rules. */
#ifndef SC_ATTRIBUTION_RELEVANCE_H
#define SC_ATTRIBUTION_RELEVANCE_H

#include "attribution/modified.h"
#include "attribution/second_relevance.h"
#include "attribution/workspace.h"
#include "graph/plan.h"

typedef struct sc_relevance {
    sc_plan *plan;
    size_t node_count;
    bool exact;            /* every number to its own rounding; see sc_op_call */
    sc_rule *rules;        /* per node */
    sc_modified *modified; /* grows as rules ask, and stays for the next batches */
    sc_workspace workspace;
    bool *wants_sums;            /* per node */
    sc_tensor *sums;             /* per node, after a backward pass: [batch x units] */
    sc_second_relevance *second; /* what speaks against the output (contrastive mode); else NULL */
    sc_tensor *second_sums;      /* per node, of the second relevance */
} sc_relevance;

typedef struct sc_relevance_request {
    size_t batch;          /* the most samples that one pass will have */
    const sc_rule *rules;  /* one per node; sources need none */
    const bool *keep;      /* (optional) per node: its relevance is wanted whole */
    const bool *sums;      /* (optional) per node: its relevance is wanted per unit, summed over positions */
    bool exact;            /* no fast products anywhere, there and back */
    bool second_relevance; /* two travel at once; rules other than SC_RULE_CONTRASTIVE treat both alike */
} sc_relevance_request;

/* A rule that cannot stand at its node is an error. Batch norms should have been folded, as a rule. Parameters may be
 * replaced between two runs. */
sc_status sc_relevance_create(sc_relevance **out, sc_graph *graph, const sc_relevance_request *request,
                              sc_error *error);

/* NULL is allowed. */
void sc_relevance_destroy(sc_relevance *relevance);

/* After sc_plan_forward(relevance->plan, ...): from output_relevance [n x output shape] back to the input. second: the
 * same of the second relevance; NULL where there is one only. */
sc_status sc_relevance_backward(sc_relevance *relevance, const sc_real *output_relevance, const sc_real *second,
                                sc_error *error);

#endif
