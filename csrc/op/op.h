/* An operation: one descriptor, one file, one row in ops.def. No other C code knows operations by name.
 *
 * To add one:
 *
 *     csrc/op/<name>.c          its attribute struct, its functions and `const sc_op sc_op_<name>`; what is said to be
 *                               optional may be left out. Loops over numbers go to csrc/kernel
 *     csrc/op/ops.def           a row SC_OP(<name>, "what it computes")
 *     spec/op/<name>_spec.lua   values against a replica from the formula, `gradcheck.check`, messages; for values of
 *                               PyTorch a case in spec/fixtures/make_ops.py. What adds up: spec/op/bits_spec.lua too
 *     lua/secateur/formats/onnx_operations.lua   `function operations.<name>`, its form in ONNX
 *
 * The graph, its execution, relevance, model files and secateur.models.builder then have it. `make lint` refuses a row
 * without text, spec or ONNX form. Activations give `activation`, and one that an epilogue can compute is a member of
 * sc_activation (kernel/activation.h); SC_LINEARITY_NONLINEAR asks for `relevance` and a case in
 * spec/attribution/relevance_spec.lua.
 *
 * Shapes here are those of one sample; the batch is a number beside them, and every buffer is [batch x shape]. */
#ifndef SC_OP_OP_H
#define SC_OP_OP_H

#include "base/real.h"
#include "base/status.h"
#include "kernel/accuracy.h"
#include "kernel/epilogue.h"
#include "kernel/stabilise.h"
#include "tensor/shape.h"
#include "tensor/tensor.h"

#include <stdbool.h>
#include <stdint.h>

enum { SC_MAX_INPUTS = 16, SC_MAX_PARAMS = 5, SC_MAX_CHAIN = 3, SC_MAX_LIST = 64 };

/* ---- attributes: a typed struct per operation, described so that Lua tables and files map to it ---- */

typedef enum sc_attr_kind {
    SC_ATTR_SIZE,  /* size_t */
    SC_ATTR_PAIR,  /* size_t[2], (vertical, horizontal); in Lua one number for both or a list of two */
    SC_ATTR_REAL,  /* double */
    SC_ATTR_FLAG,  /* bool */
    SC_ATTR_ENUM,  /* int, an index into choices; in Lua its name */
    SC_ATTR_SHAPE, /* sc_shape; in Lua a list of numbers */
    SC_ATTR_LIST,  /* sc_size_list; in Lua a list of numbers; empty where it is not given */
} sc_attr_kind;

/* Some sizes, e.g. one per head. */
typedef struct sc_size_list {
    size_t count;
    uint32_t sizes[SC_MAX_LIST];
} sc_size_list;

typedef struct sc_attr {
    const char *name; /* NULL ends the list */
    sc_attr_kind kind;
    size_t offset;   /* in the attribute struct */
    bool required;   /* else fallback is used; a pair's fallback may be "as another", see same_as */
    double fallback; /* both of a pair; an enum's index; a flag's 0 or 1 */
    double min, max; /* bounds, inclusive; both 0 means 0 .. INT_MAX for sizes, any finite number for reals */
    const char *const *choices; /* for enums, NULL-ended */
    const char *same_as;        /* (optional) the earlier attribute whose value is the fallback */
} sc_attr;

/* ---- what an operation says of itself when a node is built ---- */

typedef struct sc_op_param {
    const char *name; /* "weight"; NULL: this slot is not used by this node */
    sc_shape shape;
    sc_dtype dtype; /* SC_REAL unless it is a counter */
    bool trainable; /* false for running statistics */
    bool ones;      /* starts as one rather than zero; builders in Lua draw the weights themselves */
} sc_op_param;

typedef struct sc_op_signature {
    sc_shape output;
    sc_op_param params[SC_MAX_PARAMS];
    double macs; /* multiply-adds for one sample */
} sc_op_signature;

/* ---- a call: everything that forward, backward and relevance see ---- */

typedef struct sc_op_call {
    const void *attrs;
    size_t batch;
    int input_count;
    const sc_shape *input_shape[SC_MAX_INPUTS]; /* of one sample */
    const sc_shape *output_shape;
    const sc_real *input[SC_MAX_INPUTS]; /* in a backward pass NULL unless asked for through `needs` */
    sc_real *output;                     /* written by forward; in a backward pass NULL unless asked for */
    void *param[SC_MAX_PARAMS];          /* sc_real, or the dtype of the slot; NULL where absent */
    const sc_real *packed;               /* (forward) what op->pack made of param; NULL: forward does so itself */

    /* backward pass: gradients, or relevance */
    const sc_real *output_grad;
    sc_real *input_grad[SC_MAX_INPUTS];     /* added to; NULL where not wanted */
    bool grad_uninitialised[SC_MAX_INPUTS]; /* input_grad is to be written, not added to; see op->writes_grad */
    sc_real *param_grad[SC_MAX_PARAMS];     /* added to; NULL where not wanted */

    sc_real *saved;        /* op->saved() numbers, from this node's forward to its backward */
    void *scratch;         /* op->scratch() bytes, for the duration of the call */
    bool training;         /* batch statistics, dropout */
    bool needs_param_grad; /* (scratch) gradients of parameters will be wanted */
    sc_accuracy accuracy;
    uint64_t seed; /* of this node in this step, for dropout */

    /* (forward of a training, op->statistics) gets those of the batch; NULL: they go into the running averages */
    sc_real *statistics;

    const sc_epilogue *epilogue; /* (forward, op->fuses_epilogue) what else to do to each output; NULL: nothing */
} sc_op_call;

/* What the backward pass reads besides the gradient. */
enum {
    SC_NEEDS_INPUT = 1,             /* call->input */
    SC_NEEDS_OUTPUT = 2,            /* call->output */
    SC_NEEDS_INPUT_FOR_PARAMS = 4,  /* call->input, but only when a param_grad is wanted */
    SC_NEEDS_INPUT_IN_TRAINING = 8, /* call->input, but only when call->training */
};

/* Where an operation stands in sc_epilogue, whose steps have this order. */
typedef enum sc_epilogue_stage {
    SC_EPILOGUE_NONE,
    SC_EPILOGUE_NORM,
    SC_EPILOGUE_ADD,
    SC_EPILOGUE_ACTIVATION,
} sc_epilogue_stage;

/* How the output depends on the inputs, which decides what relevance rules do with it. Rules modify inputs and weights
 * and run forward and backward with them, so that N operations and M rules need no N x M functions. */
typedef enum sc_op_linearity {
    SC_LINEARITY_WEIGHTED,    /* linear in the input; weight in slot 0, bias in slot 1: rules modify both */
    SC_LINEARITY_FIXED,       /* linear in the inputs, without weights: rules modify the inputs */
    SC_LINEARITY_ROUTING,     /* moves numbers about: relevance is propagated as the gradient is */
    SC_LINEARITY_ELEMENTWISE, /* elementwise activation: relevance passes unchanged */
    SC_LINEARITY_NONLINEAR,   /* has its own relevance() */
    SC_LINEARITY_SOURCE,      /* has no input */
} sc_op_linearity;

/* The variants that nonlinear operations offer to composites. */
typedef enum sc_relevance_mode {
    SC_RELEVANCE_DEFAULT,        /* max pool: to the first maximum; softmax, products, norms: as in AttnLRP */
    SC_RELEVANCE_TIES,           /* max pool: equally among tied maxima (DL-Backtrace) */
    SC_RELEVANCE_DETACH_WEIGHTS, /* the attention weights are constants: all relevance goes to the values (CP-LRP) */
    SC_RELEVANCE_IDENTITY,       /* unchanged; "pass" in Lua */
} sc_relevance_mode;

/* What happens to units (channels of a map, features of a vector) from input to output. */
typedef enum sc_op_channels {
    SC_CHANNELS_PRODUCE, /* makes new units: conv2d, linear */
    SC_CHANNELS_KEEP,    /* unit k of the output depends on unit k of the inputs alone: activations, norms, pools */
    SC_CHANNELS_MOVE,    /* units change place or number: flatten, tokens, concat */
    SC_CHANNELS_MIX,     /* anything else: softmax, attention */
} sc_op_channels;

/* Where the units of an earlier node are found in a value: unit u at `count` places from first + u * stride on, `step`
 * apart. An operation that moves units maps it in move_units(). */
typedef struct sc_unit_map {
    size_t first, stride, count, step;
    bool last_axis; /* places are along the last dimension, else along the first */
    bool shared;    /* values of other nodes stand at the same places, or are added to them */
} sc_unit_map;

/* What is known of the units of a value before the network runs: flags per unit. */
typedef struct sc_unit_facts {
    size_t count;
    const bool *fixed;   /* the same for every image */
    const bool *zero;    /* fixed, and 0 at every position */
    const bool *uniform; /* fixed, and the same at every position */
    bool normalised;     /* the numbers along the last axis add up to 1 */
} sc_unit_facts;

typedef struct sc_op {
    const char *name;
    const char *kind; /* the class of operations that it belongs to, e.g. "activation"; NULL: in a class of its own */
    int min_inputs, max_inputs;
    size_t attrs_size;    /* of the attribute struct; at most SC_MAX_ATTRS_SIZE */
    const sc_attr *attrs; /* NULL-name-ended; NULL when there are none */
    sc_op_linearity linearity;
    sc_op_channels channels;
    unsigned needs;           /* SC_NEEDS_* of backward */
    unsigned relevance_needs; /* SC_NEEDS_* of relevance; SC_LINEARITY_NONLINEAR only */
    bool inplace;             /* forward may write its output over input 0 (same size, read before written) */
    bool writes_grad;         /* backward writes where call->grad_uninitialised says so; others find zeros to add to */
    bool tie_sensitive;       /* selects one of its inputs: which one may depend on the last bit */
    bool recompute;           /* cheap: better computed again in the backward pass than kept for it */
    bool fuses_epilogue;      /* forward heeds call->epilogue */
    int unit_axis; /* of one sample of the output: 0 (maps [C x H x W]) or -1, the last (vectors, tokens [T x D]) */

    /* (SC_CHANNELS_MOVE) Turns the places of units in an input into those in the output, given the shapes of all
     * inputs. */
    void (*move_units)(sc_unit_map *units, const sc_shape *const *inputs, int input);
    /* The output is the sum of the inputs: what is zero in one of them can be left out there. */
    bool sums_inputs;
    /* (optional, sums_inputs) Where each unit of an input is in the output, SIZE_MAX: nowhere. NULL: unit u at u. */
    void (*unit_targets)(size_t *targets, const sc_op_call *call, int input);
    /* Compaction (SC_CHANNELS_MIX; optional: all units of the output depend on all of the inputs). Which units of the
     * output are fixed, by what is known of the inputs. `fixed` comes as false. The call has attributes, shapes and
     * parameters. */
    void (*fixed_units)(bool *fixed, const sc_op_call *call, const sc_unit_facts *inputs);
    bool normalises; /* Compaction: the numbers along the last axis of the output add up to 1 */
    bool inert;      /* Compaction: the output is the input, at inference */
    /* Compaction (with fixed_units) Adds to the units that are kept of output and inputs, until what is kept of the
     * output can be computed from what is kept of the inputs. Called again until nothing changes. */
    void (*keep_units)(bool *output, bool *const *inputs, const sc_op_call *call, const sc_unit_facts *facts);
    /* Compaction (optional) Adapts the attributes to the units that are kept, flags as in keep_units. */
    void (*narrow)(void *attrs, const sc_op_call *call, const bool *output, const bool *const *inputs);
    /* Checks attributes and input shapes, gives output and parameter shapes. The only place that does; messages
     * start with the argument: "weight: expected ..., got ...", the graph adds operation and node. */
    sc_status (*infer)(sc_op_signature *out, const void *attrs, int input_count, const sc_shape *const *inputs,
                       sc_error *error);
    /* (optional) Numbers kept from forward to backward. */
    size_t (*saved)(const sc_op_call *call);
    /* (optional) Bytes of scratch for forward, and for backward; with the thread count in force. Depends on the call's
     * attributes, shapes, batch, and on what will be wanted. The plan takes the largest. */
    size_t (*scratch)(const sc_op_call *call);
    /* (optional) Numbers of the weights in the order in which forward's products read them, and what makes them from
     * call->param: packed once, they serve many runs. They depend on attributes, shapes of one sample and accuracy
     * alone; 0: it does not pay. */
    size_t (*packed_size)(const sc_op_call *call);
    void (*pack)(const sc_op_call *call, sc_real *packed);
    /* (optional) Numbers of the batch that running averages are made of, and what updates these with them, as a forward
     * run of call->batch samples left them in call->statistics. */
    size_t (*statistics)(const sc_op_call *call);
    void (*update_statistics)(const sc_op_call *call);
    /* output = op(input). */
    void (*forward)(const sc_op_call *call);
    /* input_grad += ..., param_grad += ... from output_grad, where not NULL. NULL for SC_LINEARITY_SOURCE without
     * parameters. */
    void (*backward)(const sc_op_call *call);
    /* (SC_LINEARITY_NONLINEAR) input_grad += relevance of the inputs, from the relevance output_grad of the output. */
    void (*relevance)(const sc_op_call *call, sc_relevance_mode mode, double epsilon);
    /* (optional) Does what forward does to the outputs of a product, as its epilogue: fills in its stage. The input
     * that comes from the product is NULL in the call. False where that is not possible, which depends on attributes,
     * shapes, the number of inputs and call->training alone; with a NULL `out` it only says so. */
    bool (*epilogue)(const sc_op_call *call, sc_epilogue *out);
    sc_epilogue_stage epilogue_stage; /* (with epilogue) */
    /* (optional) Fused forward: computes the output together with what its first input is computed from, operations of
     * these names, each the first input of the next, whose values are not wanted. calls[]: theirs and then its own. */
    const char *chain[SC_MAX_CHAIN]; /* NULL-ended */
    void (*forward_chain)(const sc_op_call *calls);
    /* (activations) The function itself, for DL-Backtrace's gates. */
    double (*activation)(const void *attrs, double x);
    /* (activations) backward as guided backpropagation has it (Springenberg et al. 2015): only what is positive passes,
     * and only where the activation is open. NULL where that is not defined. Reads what backward reads. */
    void (*guided_backward)(const sc_op_call *call);
    /* (activations) Input limits beyond which the output saturates, as DL-Backtrace has them; 0 and 0: none. */
    double saturation_low, saturation_high;
    bool monotonic; /* (activations) */
    /* (optional, activations that are not monotonic) The function and the lower limit that the package dl_backtrace has
     * for it. */
    double (*package_activation)(double x);
    double package_low;
    /* (optional) In inference the operation is y = scale[c] x + shift[c] for each channel c: fills both, so that it can
     * be folded into the convolution or linear layer before it. */
    void (*channel_affine)(const sc_op_call *call, double *scale, double *shift);
} sc_op;

enum { SC_MAX_ATTRS_SIZE = 320 };

/* The operation of that name, or NULL. */
const sc_op *sc_op_find(const char *name);

/* All of them in the order of ops.def; *count gets the number. */
const sc_op *const *sc_op_list(size_t *count);

/* One line on the operation, from ops.def. */
const char *sc_op_doc(const sc_op *op);

/* Sets the flag of that name in the attributes, where the operation has one. */
void sc_op_set_flag(const sc_op *op, void *attrs, const char *name, bool value);

/* Fills attrs with the fallbacks of the descriptor; required ones stay 0. */
void sc_op_default_attrs(const sc_op *op, void *attrs);

#endif
