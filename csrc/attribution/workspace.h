/* Scratch of the rules: a handful of buffers that grow to what the largest node needs, for a few samples at a time. */
#ifndef SC_ATTRIBUTION_WORKSPACE_H
#define SC_ATTRIBUTION_WORKSPACE_H

#include "op/op.h"

enum { SC_WORK_BUFFERS = 8 };

typedef struct sc_workspace {
    sc_real *buffer[SC_WORK_BUFFERS];
    size_t reals[SC_WORK_BUFFERS];
} sc_workspace;

/* At least `reals` numbers in buffer `index`, contents undefined. */
sc_status sc_workspace_get(sc_real **out, sc_workspace *workspace, int index, size_t reals, sc_error *error);

/* Frees the buffers; those never asked for do not matter. */
void sc_workspace_free(sc_workspace *workspace);

/* How many samples of a call to treat at a time, so that the buffers of a rule stay moderate. */
size_t sc_workspace_chunk(const sc_op_call *call);

/* Numbers of one sample, over all inputs and of the output. */
size_t sc_call_input_reals(const sc_op_call *call);
size_t sc_call_output_reals(const sc_op_call *call);

/* Whether some input is below 0; behind a ReLU none is, and half of the terms of most rules are nothing but zeros. */
bool sc_call_has_negative(const sc_op_call *call);

/* Samples first .. first + most - 1 of a call, or as many of them as there are, in the backward pass. */
sc_op_call sc_call_slice(const sc_op_call *call, size_t first, size_t most);

#endif
