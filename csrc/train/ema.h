/* An exponential moving average of a graph's parameters, as torch.optim.swa_utils.AveragedModel keeps one with
 * use_buffers: running statistics are averaged like weights, counters are copied. */
#ifndef SC_TRAIN_EMA_H
#define SC_TRAIN_EMA_H

#include "graph/graph.h"

typedef struct sc_ema {
    sc_graph *graph; /* shared; must get no new parameters */
    size_t count;    /* of the graph's parameters */
    bool *fixed;     /* [count]: never changes, and is shared with the graph */
    sc_tensor *values;
} sc_ema;

/* Starts at what the parameters are. fixed [of the graph's parameters] is copied; NULL: none. */
sc_status sc_ema_create(sc_ema **out, sc_graph *graph, const bool *fixed, sc_error *error);

/* NULL is allowed. */
void sc_ema_destroy(sc_ema *ema);

/* a += (1 - decay) (x - a) with the parameters x; decay in [0, 1), 0 copies. Averages that are shared are cloned first.
 */
sc_status sc_ema_update(sc_ema *ema, double decay, sc_error *error);

#endif
