/* The graph: nodes in the order they were added (which is an order of computation) and named parameters. Nodes refer to
 * parameters by index, and may take some rows of one only, as the q, k and v of an attention do of in_proj_weight. */
#ifndef SC_GRAPH_GRAPH_H
#define SC_GRAPH_GRAPH_H

#include "graph/name_index.h"
#include "op/op.h"

typedef struct sc_parameter {
    char *name;
    sc_tensor value; /* storage may be shared with other graphs; see sc_graph_own_parameter */
    bool trainable;
    size_t uses; /* by slots of nodes */
} sc_parameter;

/* A node's use of a parameter. */
typedef struct sc_param_ref {
    bool present;
    const char *slot; /* "weight"; as the operation names it */
    size_t parameter; /* index into graph->parameters */
    size_t first_row; /* of the parameter's first dimension */
    sc_shape shape;   /* of the part used */
} sc_param_ref;

/* A contiguous range of elements of one parameter. */
typedef struct sc_param_range {
    size_t parameter, first, count;
} sc_param_range;

typedef struct sc_node {
    char *name;
    const sc_op *op;
    _Alignas(16) unsigned char attrs[SC_MAX_ATTRS_SIZE];
    int input_count;
    size_t input[SC_MAX_INPUTS]; /* indices of earlier nodes */
    sc_param_ref param[SC_MAX_PARAMS];
    sc_shape shape; /* of one sample of the output */
    double macs;    /* multiply-adds per sample */
    size_t reads;   /* how many inputs of later nodes it is */
    size_t reader;  /* the last node that reads it, if one does */
} sc_node;

typedef struct sc_graph {
    size_t references; /* the Lua object and the plans; all on one thread */
    sc_node *nodes;
    size_t node_count, node_capacity;
    sc_parameter *parameters;
    size_t parameter_count, parameter_capacity;
    sc_name_index node_names, parameter_names;
    size_t output;     /* index of the node whose value is the result; the last one added unless said otherwise */
    size_t byte_limit; /* bytes that parameters yet to be created may take; a graph from a file may ask for anything */
} sc_graph;

/* Where a new node finds a parameter; a NULL name means "<node>.<slot>", all rows. */
typedef struct sc_param_binding {
    const char *slot; /* (optional) what the operation has to call it */
    const char *name;
    size_t first_row, total_rows; /* total 0: the parameter has just the rows that the node uses */
} sc_param_binding;

/* An empty graph, whose parameters may take any number of bytes until `byte_limit` is set. */
sc_status sc_graph_create(sc_graph **out, sc_error *error);

/* One more owner. */
sc_graph *sc_graph_share(sc_graph *graph);

/* One owner less; frees it with the last. NULL is allowed. */
void sc_graph_release(sc_graph *graph);

/* A graph that shares all parameters. */
sc_status sc_graph_copy(sc_graph **out, const sc_graph *graph, sc_error *error);

/* Adds a node: the operation checks shapes, missing parameters are created (zero, or one where the operation says so),
 * existing ones of that name are shared if their shape fits. attrs is copied. On error the graph is as before; one that
 * a plan uses stays as it is.
 * Messages: "op 'name': argument: expected X, got Y". */
sc_status sc_graph_add(sc_graph *graph, const sc_op *op, const char *name, const void *attrs, int input_count,
                       const size_t *inputs, const sc_param_binding *bindings, sc_error *error);

/* Makes the value of `node` the result of the graph, unless a plan uses it. */
sc_status sc_graph_set_output(sc_graph *graph, size_t node, sc_error *error);

/* Index of the node or parameter of that name, or SC_NOT_FOUND. */
ptrdiff_t sc_graph_find_node(const sc_graph *graph, const char *name);
ptrdiff_t sc_graph_find_parameter(const sc_graph *graph, const char *name);

/* Whether the node stands for the images that a run is given. */
bool sc_node_is_input(const sc_node *node);

/* The part of a parameter that a node's slot uses, over the same storage; a zeroed tensor when the slot is unused. The
 * result is not refcounted: it lives as long as the graph's parameter does. */
sc_tensor sc_node_param(const sc_graph *graph, const sc_node *node, int slot);

/* Replaces the value of a parameter by a tensor of the same shape and type (shared, not copied). */
sc_status sc_graph_set_parameter(sc_graph *graph, size_t index, const sc_tensor *value, sc_error *error);

/* Makes sure that no other graph or tensor sees changes to this parameter: clones its storage if it is shared. */
sc_status sc_graph_own_parameter(sc_graph *graph, size_t index, sc_error *error);

/* The single node that reads the value of `node`, or SC_NOT_FOUND when there are none or several, or it is the output.
 */
ptrdiff_t sc_graph_only_consumer(const sc_graph *graph, size_t node);

#endif
