/* An execution plan: the steps of a run over a graph, and an offset into one arena for every buffer that a step
 * touches.
 *
 * A buffer lives from the step that writes it to the last step that reads it, and buffers whose lifetimes do not
 * overlap may share memory. So inference needs little more than the two largest neighbours, while training and
 * attribution keep what their backward pass reads, and what is cheap to compute (activations, layer norms) is
 * recomputed instead. */
#ifndef SC_GRAPH_PLAN_H
#define SC_GRAPH_PLAN_H

#include "graph/graph.h"

typedef struct sc_plan_request {
    size_t batch;            /* the most samples that one run will have */
    bool backward;           /* a backward pass will follow */
    bool training;           /* batch statistics, dropout; changes what the backward pass reads */
    bool params;             /* gradients of the trainable parameters are wanted */
    bool collect_statistics; /* (training) batch statistics do not go into running averages: batch_statistics.h */
    bool repeatable;         /* several backward passes may follow one forward run: what they read outlives them */
    const unsigned *needs;   /* (optional) per node, SC_NEEDS_* of a backward pass that is not op->backward */
    const bool *keep_value;  /* (optional) per node: the value can be read after the run */
    const bool *keep_grad;   /* (optional) per node: so can the gradient (or relevance) */
    const bool *exact;       /* (optional) per node: it and all that it is made from is computed with plain sums */
    const bool *frozen;      /* (optional) per parameter: it is not trained, and its gradient not wanted */
    bool all_exact;          /* the same for all nodes */
    const bool *given; /* (optional) per node: sc_plan_forward_from() is told its value, and neither it nor what it
                        * alone is made from is computed. Inputs that are needed count among these */
} sc_plan_request;

typedef enum sc_step_kind { SC_STEP_FORWARD, SC_STEP_RECOMPUTE, SC_STEP_BACKWARD } sc_step_kind;

typedef struct sc_step {
    sc_step_kind kind;
    size_t node;
} sc_step;

enum { SC_NO_BUFFER = -1 };

/* One node in the plan; its buffers are indices into plan->offsets, or SC_NO_BUFFER. */
typedef struct sc_plan_node {
    ptrdiff_t value;      /* as forward writes it; none where next_fused */
    ptrdiff_t recomputed; /* as the backward pass sees it; the same as value unless recomputed */
    ptrdiff_t grad;
    ptrdiff_t saved;
    size_t head;          /* the node in whose forward step this one is computed: itself, or see graph/fusion.h */
    ptrdiff_t next_fused; /* the next node of that step, which alone sees this one's value, or SC_NOT_FOUND */
    size_t grad_first;    /* the step that writes the gradient first, and finds it zeroed */
    bool in_backward;     /* the backward pass runs through this node */
    bool value_kept;      /* the value can be read after the forward pass */
    bool given;           /* the value is told, not computed */
    bool grad_kept;       /* the gradient can be read after the backward pass */
    bool wants_grad;
    sc_accuracy accuracy; /* in the forward pass */
    bool training;        /* as sc_op_call has it: a norm whose scale is frozen keeps its running statistics */
    bool has_param_grad;  /* some gradient of its parameters is wanted */
    unsigned needs;       /* SC_NEEDS_INPUT, SC_NEEDS_OUTPUT of the backward pass */
    size_t statistics;    /* where those of the batch begin in plan->statistics */
} sc_plan_node;

typedef struct sc_plan {
    sc_graph *graph; /* shared, and gets no new nodes while it is */
    size_t batch;
    bool backward, training, params, repeatable;
    bool resumes; /* it begins with given values: sc_plan_forward_from() */
    sc_step *steps;
    size_t step_count, forward_count; /* the first forward_count steps go forward */
    sc_plan_node *nodes;
    size_t *offsets; /* bytes into arena, per buffer */
    char *arena;
    size_t arena_bytes;
    void *scratch;
    size_t scratch_bytes;
    int scratch_threads;      /* the thread count that scratch is made for */
    struct sc_packed *packed; /* per node; see packed.h */
    sc_tensor grads;          /* of all parameters, one vector; none where none is wanted */
    sc_tensor *param_grads;   /* per parameter, over grads; zeroed structs where not wanted */
    sc_tensor statistics;     /* of the last forward run's batch, where they are collected: batch_statistics.h */
    sc_tensor input;          /* of the last forward, shared */
    size_t current_batch;     /* of the last forward; 0 before, and when it did not reach its end */
    bool backward_done;       /* since the last forward: gradients can be read, values may have been overwritten */
    uint64_t seed;            /* of the last forward */
} sc_plan;

/* Lays out the buffers that the request needs. Where a backward pass follows that is no training, everything that a
 * tie-sensitive operation chooses from is computed with plain sums, so that ties are ties and gradients and relevance
 * take the same way on every image. The plan holds a reference to the graph. */
sc_status sc_plan_create(sc_plan **out, sc_graph *graph, const sc_plan_request *request, sc_error *error);

/* NULL is allowed. */
void sc_plan_destroy(sc_plan *plan);

/* Makes sure that scratch serves the thread count now in force; to be called before the steps of a run. */
sc_status sc_plan_fit_scratch(sc_plan *plan, sc_error *error);

/* The attributes, shapes, parameters and batch of a node, as every call to its operation has them. */
void sc_plan_describe_call(sc_op_call *call, const sc_graph *graph, const sc_node *node, size_t batch, bool training);

#endif
