/* Applying rules to operations that are linear in their inputs. */
#ifndef SC_ATTRIBUTION_LINEAR_RULE_H
#define SC_ATTRIBUTION_LINEAR_RULE_H

#include "attribution/modified.h"
#include "attribution/workspace.h"

/* Adds to call->input_grad the relevance that the rule (SC_RULE_LINEAR) propagates from call->output_grad. */
sc_status sc_linear_rule_apply(const sc_rule *rule, const sc_graph *graph, const sc_node *node, const sc_op_call *call,
                               sc_modified **modified, sc_workspace *workspace, sc_error *error);

#endif
