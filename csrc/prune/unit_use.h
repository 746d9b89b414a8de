/* Which units of a graph compute something that its output needs, and which are the same for every image.
 *
 * Facts go forward: a unit is fixed when everything that it is made of is fixed, or weighted by zero. Their values are
 * read off one run, in which fixed units have the value that they always have. What is kept goes backward from the
 * output: a fixed unit is needed only where its reader cannot have it in its bias. Both walks know operations by their
 * descriptors alone. */
#ifndef SC_PRUNE_UNIT_USE_H
#define SC_PRUNE_UNIT_USE_H

#include "graph/graph.h"

/* The units of the value of one node: channels of maps [C x H x W], else places along the last dimension. */
typedef struct sc_unit_use {
    size_t units, positions;
    bool last_axis;
    bool *fixed, *zero, *uniform; /* [units]; as in sc_unit_facts */
    bool normalised;              /* as in sc_unit_facts */
    bool *kept;                   /* [units]: the compact graph has them */
    size_t kept_count;            /* 0: the node is not needed */
    bool constant;                /* all units that are kept are fixed: the node is but a parameter */
    sc_real *value;               /* [shape] of the node in that run, where a unit is fixed; else NULL */
} sc_unit_use;

/* *out gets one entry per node; the caller frees it with sc_unit_use_free. A graph whose output is the same for every
 * image is an error that says so. */
sc_status sc_unit_use_find(sc_unit_use **out, sc_graph *graph, sc_error *error);

/* NULL is allowed. */
void sc_unit_use_free(sc_unit_use *uses, const sc_graph *graph);

/* Units of a value of this shape, and whether they are along its last dimension. */
size_t sc_shape_units(const sc_shape *shape, bool *last_axis);

/* The value of a fixed unit at one of its positions. */
sc_real sc_unit_use_value(const sc_unit_use *use, size_t unit, size_t position);

/* The place in the output of each unit of an input, for operations that keep or move units and for sums: targets gets
 * `*count` places for each of the units of the input (several where a unit is spread over features), SIZE_MAX for
 * none. The caller frees it with sc_memory_free. */
sc_status sc_unit_targets(size_t **targets, size_t *count, const sc_graph *graph, const sc_node *node, int input,
                          sc_error *error);

/* Whether compaction may take this operation's output to be a bias plus what each unit of the input adds: it has
 * weights, and no zero padding, around which a fixed unit would be another number. */
bool sc_node_takes_bias(const sc_node *node);

#endif
