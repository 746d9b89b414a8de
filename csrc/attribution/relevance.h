/* Relevance propagation: one forward run, one walk back by the rules. LRP and DL-Backtrace are tables of rules. */
#ifndef SC_ATTRIBUTION_RELEVANCE_H
#define SC_ATTRIBUTION_RELEVANCE_H

#include "attribution/modified.h"
#include "attribution/workspace.h"
#include "graph/plan.h"

typedef struct sc_relevance {
    sc_plan *plan;
    size_t node_count;
    sc_rule *rules;        /* per node */
    sc_modified *modified; /* grows as rules ask, and stays for the next batches */
    sc_workspace workspace;
    bool *wants_sums; /* per node */
    sc_tensor *sums;  /* per node, after a walk back: [batch x units] */
} sc_relevance;

/* For batches of up to `batch`. rules: one per node (sources need none). keep: nodes whose relevance is wanted whole;
 * sums: nodes whose relevance is wanted per unit (summed over positions). A rule that cannot stand at its node is an
 * error. Batch norms should have been folded. */
sc_status sc_relevance_create(sc_relevance **out, sc_graph *graph, size_t batch, const sc_rule *rules, const bool *keep,
                              const bool *sums, sc_error *error);

/* NULL is allowed. */
void sc_relevance_free(sc_relevance *relevance);

/* After sc_plan_forward(relevance->plan, ...): from output_relevance [n x output shape] back to the input. */
sc_status sc_relevance_walk(sc_relevance *relevance, const sc_real *output_relevance, sc_error *error);

#endif
