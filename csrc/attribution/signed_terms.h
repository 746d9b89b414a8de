/* The terms z_ij = x_i w_ij of an operation that is linear in its inputs, split by their sign. What DL-Backtrace's
 * rules share: the sums P_j and N_j of the magnitudes of the positive and of the negative terms of each output, and the
 * backward pass along either kind alone. An operation that scales and shifts channels (a batch norm that could not be
 * folded) has one term per output, and the shift for its bias. */
#ifndef SC_ATTRIBUTION_SIGNED_TERMS_H
#define SC_ATTRIBUTION_SIGNED_TERMS_H

#include "attribution/modified.h"
#include "attribution/workspace.h"

/* Buffers of the workspace that the functions below use; a rule takes those from SC_TERMS_BUFFERS on. */
enum { SC_TERMS_INPUTS, SC_TERMS_PART, SC_TERMS_BACK, SC_TERMS_AFFINE, SC_TERMS_BUFFERS };

typedef struct sc_signed_terms {
    const sc_graph *graph;
    const sc_node *node;
    const sc_op_call *call; /* the slice of the batch */
    sc_modified **modified;
    sc_workspace *workspace;
    bool below;          /* some input is below 0; else half of the terms are nothing but zeros, and are left out */
    const double *scale; /* per channel, where the operation scales and shifts channels; else NULL */
    const sc_real *bias; /* per unit; NULL where there is none */
    size_t units, inner; /* output i belongs to unit i / inner % units */
} sc_signed_terms;

/* The terms of a slice; looks at its inputs. */
sc_status sc_signed_terms_init(sc_signed_terms *out, const sc_graph *graph, const sc_node *node, const sc_op_call *call,
                               sc_modified **modified, sc_workspace *workspace, sc_error *error);

/* sum[batch x output] = the sums of the magnitudes of all terms of one sign. */
sc_status sc_signed_terms_sum(sc_real *sum, const sc_signed_terms *terms, bool negative, sc_error *error);

/* into[k][batch x input k] += sum over j of |z_ij| shares_j, over the terms of one sign; NULL where not wanted. */
sc_status sc_signed_terms_backward(sc_real *const *into, const sc_signed_terms *terms, bool negative,
                                   const sc_real *shares, sc_error *error);

#endif
