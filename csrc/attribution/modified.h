/* Modified parameters, W+ and its kin; computed when first asked for, and kept until the parameter is another. */
#ifndef SC_ATTRIBUTION_MODIFIED_H
#define SC_ATTRIBUTION_MODIFIED_H

#include "attribution/rule.h"

/* One modified parameter of one node. */
typedef struct sc_modified {
    struct sc_modified *next;
    const sc_node *node;
    int slot;
    sc_modifier modifier;
    uint64_t stamp; /* of the parameter that the value was computed from */
    sc_tensor value;
} sc_modified;

/* *out = the parameter in that slot of the node after the modifier: the parameter itself when it changes nothing, NULL
 * when the node has none there; else from the list, which it joins if it is new. */
sc_status sc_modified_get(sc_real **out, sc_modified **list, const sc_graph *graph, const sc_node *node, int slot,
                          const sc_modifier *modifier, sc_error *error);

/* Frees the whole list; NULL is allowed. */
void sc_modified_destroy(sc_modified *list);

#endif
