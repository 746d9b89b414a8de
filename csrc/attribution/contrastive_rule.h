/* DL-Backtrace (Sankarapu et al. 2024) in its contrastive mode: what speaks for an output and what speaks against it
 * travel as two relevances, R+ and R-, each with a share of its own. */
#ifndef SC_ATTRIBUTION_CONTRASTIVE_RULE_H
#define SC_ATTRIBUTION_CONTRASTIVE_RULE_H

#include "attribution/signed_terms.h"

/* For SC_RULE_CONTRASTIVE, at an operation whose terms z_ij = x_i w_ij are P_j and N_j in all, by sign (magnitudes),
 * and t_j = P_j - N_j + b_j. The terms that prevail (the positive ones if t_j > 0, the negative ones if t_j < 0) take
 * the larger of the two relevances, the others the smaller one, each in proportion to their magnitudes:
 *
 *     t_j > 0 and R+_j > R-_j, or t_j < 0 and R+_j < R-_j:   R+_i += (z_ij)+ R+_j / P_j,   R-_i += |(z_ij)-| R-_j / N_j
 *     otherwise, unless t_j = 0:                             R-_i += (z_ij)+ R-_j / P_j,   R+_i += |(z_ij)-| R+_j / N_j
 *
 * An output all of whose terms have one sign hands them both relevances; at t_j = 0 nothing passes. The bias takes part
 * in t_j and absorbs nothing, so that elsewhere either relevance is conserved. Gates play no part.
 *
 * call has R+ as output_grad and input_grad, other R-; both are the same otherwise. */
sc_status sc_contrastive_rule_apply(const sc_graph *graph, const sc_node *node, const sc_op_call *call,
                                    const sc_op_call *other, sc_modified **modified, sc_workspace *workspace,
                                    sc_error *error);

#endif
