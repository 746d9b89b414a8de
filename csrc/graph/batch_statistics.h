/* Batch statistics of a training: what norms take from a batch and put into running averages. A plan made with
 * collect_statistics holds them back, so that several pieces of a batch, wherever they are run, change the running
 * averages in one order. */
#ifndef SC_GRAPH_BATCH_STATISTICS_H
#define SC_GRAPH_BATCH_STATISTICS_H

#include "graph/plan.h"

/* Makes plan->statistics, a vector for all nodes that have some; none where no node has. */
sc_status sc_batch_statistics_create(sc_plan *plan, sc_error *error);

/* Where the forward step of a node leaves them; NULL: they go into the running averages at once. */
sc_real *sc_batch_statistics_of(const sc_plan *plan, size_t node);

/* Updates the running averages with statistics as plan->statistics has them after a forward run of so many samples,
 * node after node: the bits are those of a forward run that updates them itself. Parameters that are shared are cloned
 * first. */
sc_status sc_batch_statistics_apply(sc_plan *plan, const sc_tensor *statistics, size_t samples, sc_error *error);

#endif
