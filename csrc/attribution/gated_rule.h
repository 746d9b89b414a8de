/* DL-Backtrace (Sankarapu et al. 2024) in its default mode, with gates. */
#ifndef SC_ATTRIBUTION_GATED_RULE_H
#define SC_ATTRIBUTION_GATED_RULE_H

#include "attribution/signed_terms.h"

/* Whether the activation that alone reads this node can close a gate of SC_RULE_GATED in this mode. */
bool sc_gated_rule_has_gates(const sc_graph *graph, size_t node, sc_gated_mode mode);

/* For SC_RULE_GATED: with P and N the sums of the magnitudes of positive and negative terms of an output,
 *
 *     R_i = sum_j R_j (sP_j (x_i w_ij)+ + sN_j |(x_i w_ij)-|) / (sP_j P_j + sN_j N_j + |b_j|)
 *
 * and 0 where the denominator is 0. The gates sP, sN are 1 unless the activation that alone reads the node (at once, or
 * behind dropouts) saturates:
 *
 * SC_GATED_DEFAULT: t = P - N + b below its lower limit closes sP, above its upper limit sN; if it is not monotonic,
 * act(t) = act(P + b+) closes sN and act(t) = act(-N + b-) closes sP. Values are equal when they are the same sc_real,
 * the precision that the network runs in: the other terms are lost in rounding, or the activation underflows. Any wider
 * tolerance would depend on the scale of the layer. ReLU's lower limit is not looked at, since a closed ReLU, whose
 * output is 0, receives no relevance.
 *
 * SC_GATED_PACKAGE: as the package dl_backtrace computes it. Linear layers as above, but for bounded activations alone.
 * Convolutions take t = P + N, so that only the upper limit acts (t at or above it closes sN), and a closed gate leaves
 * the numerator only: the denominator stays P + N + |b|. Where that is 0, the package gives NaN. For SiLU the package
 * has f(x) = x / (1 + exp(-0.75 x)) and a lower limit of -6. In linear layers t below that closes sP; else, where P and
 * N are both there, f(t) = f(P + b+) closes sN, or if it does not, f(t) = f(-N + b-) sP. In convolutions values within
 * 1e-5 of each other are equal. */
sc_status sc_gated_rule_apply(sc_gated_mode mode, const sc_graph *graph, const sc_node *node, const sc_op_call *call,
                              sc_modified **modified, sc_workspace *workspace, sc_error *error);

#endif
