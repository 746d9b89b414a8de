/* A second relevance in the backward pass, beside the one in the plan's gradients: in an arena of its own, whose
 * buffers live from the step that writes them to the last that reads them, as the plan's do. */
#ifndef SC_ATTRIBUTION_SECOND_RELEVANCE_H
#define SC_ATTRIBUTION_SECOND_RELEVANCE_H

#include "graph/plan.h"

typedef struct sc_second_relevance sc_second_relevance;

/* For a plan with a backward pass, which must outlive it. */
sc_status sc_second_relevance_create(sc_second_relevance **out, const sc_plan *plan, sc_error *error);

/* NULL is allowed. */
void sc_second_relevance_destroy(sc_second_relevance *second);

/* Before a backward pass: the relevance at the output is start [n x output shape]. */
void sc_second_relevance_start(sc_second_relevance *second, const sc_real *start);

/* At a node of that pass: *out = the call with this relevance in place of the plan's. */
void sc_second_relevance_call(sc_op_call *out, const sc_second_relevance *second, size_t node, const sc_op_call *call);

/* After the pass, for nodes whose gradient the plan keeps: [n x shape]; else NULL. */
const sc_real *sc_second_relevance_at(const sc_second_relevance *second, size_t node);

#endif
