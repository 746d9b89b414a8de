/* Sums of gradients over many runs per sample: what plain gradients, SmoothGrad, Integrated Gradients and conductance
 * have in common.
 *
 * A schedule gives every sample the same row of points, e.g. the steps of a path. The rows of all samples make one long
 * list that is run a batch at a time, so that memory depends on the size of a batch alone, and one image with 32 steps
 * fills batches as well as 32 images do. What is wanted of a node is summed as the backward pass reaches it, while
 * value and gradient are there: nothing of a node outlives its batch but the sums and, for differences along a path,
 * one row.
 */
#ifndef SC_ATTRIBUTION_GRADIENT_H
#define SC_ATTRIBUTION_GRADIENT_H

#include "attribution/grad_term.h"
#include "graph/plan.h"

/* The terms that are summed at nodes; h is the node's value, w the point's weight. */
typedef enum sc_grad_quantity {
    SC_GRAD_QUANTITY_GRADIENT,    /* w df/dh */
    SC_GRAD_QUANTITY_PRODUCT,     /* w df/dh * h */
    SC_GRAD_QUANTITY_CONDUCTANCE, /* df/dh(a_k) * (h(a_{k+1}) - h(a_k)), over the points that have `node` */
} sc_grad_quantity;

typedef struct sc_gradient_request {
    size_t batch;        /* the most rows at a time */
    const size_t *nodes; /* of which something is wanted */
    size_t node_count;
    sc_grad_quantity quantity;
    bool units;  /* sums over the positions of each unit */
    bool guided; /* guided backpropagation: each activation's guided_backward() instead of its gradient */
} sc_gradient_request;

/* A row that continues in the next batch: one row of value and gradient per node. */
typedef struct sc_carry {
    sc_real **value, **grad;
    bool full;
    size_t sample;
} sc_carry;

typedef struct sc_gradient {
    sc_plan *plan;
    sc_grad_quantity quantity;
    bool units, guided;
    size_t input; /* the node that x goes to */
    size_t node_count, *nodes;
    ptrdiff_t *slot; /* per node of the graph: its place in nodes, or -1 */
    sc_tensor points, output_grad;
    sc_grad_term *terms; /* of one node and batch */
    sc_carry carry;
} sc_gradient;

typedef struct sc_point {
    double alpha;  /* position on the path, for fill() */
    double weight; /* of the gradient here in the sum at the input, and in the first two kinds of sums at nodes */
    bool node;     /* takes part in the sums at nodes */
} sc_point;

typedef struct sc_schedule {
    size_t n, point_count; /* samples, points of each */
    const sc_point *points;
    const sc_real *output_grad; /* [n x output shape]: what the gradient is of, e.g. one at the target */
    /* Writes the input of one run. May be called from any thread. */
    void (*fill)(const void *context, sc_real *row, size_t sample, const sc_point *point, size_t index, size_t numel);
    const void *context;
} sc_schedule;

/* Sums, zeroed by the run before it adds. */
typedef struct sc_gradient_sums {
    sc_real *input;        /* [n x input shape]: weight * gradient; NULL: not wanted */
    sc_real *const *nodes; /* per node of the request, [n x shape] or [n x units] */
} sc_gradient_sums;

/* A graph without input, and with `guided` an activation that has no guided_backward(), are errors. */
sc_status sc_gradient_create(sc_gradient **out, sc_graph *graph, const sc_gradient_request *request, sc_error *error);

/* NULL is allowed. */
void sc_gradient_destroy(sc_gradient *gradient);

/* Runs the schedule. Ctrl-C ends it with SC_ERROR_INTERRUPTED. */
sc_status sc_gradient_run(sc_gradient *gradient, const sc_gradient_sums *sums, const sc_schedule *schedule,
                          sc_error *error);

#endif
