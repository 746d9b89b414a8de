/* Weights in the order in which products read them, kept from run to run of a plan. */
#ifndef SC_GRAPH_PACKED_H
#define SC_GRAPH_PACKED_H

#include "graph/plan.h"

/* Of one node. */
struct sc_packed {
    sc_real *numbers; /* NULL: none yet */
    uint64_t stamp;   /* of the weights that they were made of */
};

/* Before a node's forward step: packs its weights, if it reads them so and they are others than the last time. Where
 * they change with every run, in training, nothing is kept. */
sc_status sc_packed_refresh(sc_plan *plan, size_t node, sc_error *error);

/* The packed weights of a node, or NULL. */
const sc_real *sc_packed_get(const sc_plan *plan, size_t node);

/* Bytes of all of them. */
size_t sc_packed_bytes(const sc_plan *plan);

/* Frees all. */
void sc_packed_free(sc_plan *plan);

#endif
