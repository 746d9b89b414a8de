/* An exponential moving average of a graph's parameters, as torch.optim.swa_utils.AveragedModel keeps one with
 * use_buffers: running statistics are averaged like weights, counters are copied. */
#ifndef SC_TRAIN_AVERAGE_H
#define SC_TRAIN_AVERAGE_H

#include "graph/graph.h"

typedef struct sc_average {
    sc_graph *graph; /* shared; must get no new parameters */
    size_t count;    /* of the graph's parameters */
    bool *fixed;     /* [count]: never changes, and is shared with the graph */
    sc_tensor *values;
} sc_average;

/* Starts at what the parameters are. fixed [of the graph's parameters] is copied; NULL: none. */
sc_status sc_average_create(sc_average **out, sc_graph *graph, const bool *fixed, sc_error *error);

/* NULL is allowed. */
void sc_average_free(sc_average *average);

/* a += (1 - decay) (x - a) with the parameters x; decay in [0, 1), 0 copies. Averages that are shared are cloned first.
 */
sc_status sc_average_update(sc_average *average, double decay, sc_error *error);

#endif
