/* Applying rules to operations that are linear in their inputs. */
#ifndef SC_ATTRIBUTION_LINEAR_RULE_H
#define SC_ATTRIBUTION_LINEAR_RULE_H

#include "attribution/modified.h"
#include "attribution/workspace.h"

/* Adds to call->input_grad the relevance that the rule (SC_RULE_LINEAR) hands back from call->output_grad. */
sc_status sc_linear_rule_apply(const sc_rule *rule, const sc_graph *graph, const sc_node *node, const sc_op_call *call,
                               sc_modified **modified, sc_workspace *workspace, sc_error *error);

/* DL-Backtrace (Sankarapu et al. 2024) with gates, for SC_RULE_GATED: with P and N the sums of the magnitudes of
 * positive and negative terms of an output, R_i = sum_j R_j (sP_j (x_i w_ij)+ + sN_j |(x_i w_ij)-|) / (sP_j P_j + sN_j
 * N_j + |b_j|). The gates sP, sN are 1 unless the activation that alone reads the node saturates: t = P - N + b below
 * its lower limit closes sP, above its upper limit sN; if it is not monotonic, act(t) = act(P + b+) closes sN and
 * act(t) = act(-N + b-) closes sP. 0 where the denominator is 0. */
sc_status sc_gated_rule_apply(const sc_graph *graph, const sc_node *node, const sc_op_call *call,
                              sc_modified **modified, sc_workspace *workspace, sc_error *error);

#endif
