/* A second signal in the backward pass, beside the one in the plan's gradients: in an arena of its own, whose buffers
 * live from the step that writes them to the last that reads them, as the plan's do. */
#ifndef SC_ATTRIBUTION_SECOND_SIGNAL_H
#define SC_ATTRIBUTION_SECOND_SIGNAL_H

#include "graph/plan.h"

typedef struct sc_second_signal sc_second_signal;

/* For a plan with a backward pass, which must outlive it. */
sc_status sc_second_signal_create(sc_second_signal **out, const sc_plan *plan, sc_error *error);

/* NULL is allowed. */
void sc_second_signal_free(sc_second_signal *signal);

/* Before a backward pass: the signal at the output is start [n x output shape]. */
void sc_second_signal_begin(sc_second_signal *signal, const sc_real *start);

/* At a node of that walk: *out = the call with this signal in place of the plan's. */
void sc_second_signal_call(sc_op_call *out, const sc_second_signal *signal, size_t node, const sc_op_call *call);

/* After the walk, for nodes whose gradient the plan keeps: [n x shape]; else NULL. */
const sc_real *sc_second_signal_at(const sc_second_signal *signal, size_t node);

#endif
