/* Optimisers: Adam (Kingma and Ba 2015), AdamW (Loshchilov and Hutter 2019) and SGD with momentum, each step for step
 * as PyTorch's torch.optim has it. An optimiser is a kind (its arithmetic on a run of numbers), options, and settings
 * and state for every parameter of a graph. */
#ifndef SC_TRAIN_OPTIMISER_H
#define SC_TRAIN_OPTIMISER_H

#include "graph/plan.h"

typedef struct sc_optimiser_options {
    double beta1, beta2; /* Adam: of the running means of g and g^2; in [0, 1) */
    double eps;          /* Adam: added to the root of the second */
    double momentum;     /* SGD: of the running sum of g; in [0, 1) */
    bool nesterov;       /* SGD: looks ahead along the momentum */
} sc_optimiser_options;

/* 0.9, 0.999, 1e-8, 0.9, false */
extern const sc_optimiser_options sc_optimiser_defaults;

/* What a step on one parameter depends on besides the options. */
typedef struct sc_step_params {
    double lr, weight_decay;
    double grad_scale; /* gradients are multiplied by it first */
    size_t step;       /* from 1 */
} sc_step_params;

enum { SC_MAX_OPTIMISER_STATE = 2 };

typedef struct sc_optimiser_kind {
    const char *name;
    const char *state_names[SC_MAX_OPTIMISER_STATE]; /* each as large as the parameter */
    /* How many of them these options need. */
    int (*state_count)(const sc_optimiser_options *options);
    /* A step on x[n] along grad[n]; state[n] each. */
    void (*update)(sc_real *x, sc_real *const *state, const sc_real *grad, size_t n,
                   const sc_optimiser_options *options, const sc_step_params *params);
} sc_optimiser_kind;

extern const sc_optimiser_kind sc_optimiser_adam, sc_optimiser_adamw, sc_optimiser_sgd;

/* The kind of that name, or NULL. */
const sc_optimiser_kind *sc_optimiser_find(const char *name);

/* How one parameter is treated. */
typedef struct sc_param_setting {
    bool frozen;     /* stays as it is, without state */
    double lr_scale; /* times the learning rate of the step */
    double weight_decay;
} sc_param_setting;

typedef struct sc_optimiser {
    sc_graph *graph; /* shared; must get no new parameters */
    const sc_optimiser_kind *kind;
    sc_optimiser_options options;
    size_t steps;                  /* taken so far */
    size_t count;                  /* of the graph's parameters */
    int state_count;               /* per parameter */
    sc_param_setting *settings;    /* [count]; those that are not trainable are frozen */
    sc_tensor *state;              /* [state_count x count]; zeroed structs where frozen */
    sc_param_range *masked_ranges; /* [masked_count]: numbers that are zero after every step */
    size_t masked_count;
    bool state_masked; /* the state is zero there; to be unset by who changes it */
} sc_optimiser;

/* All state zero. settings [of the graph's parameters] and masked_ranges [masked_count] are copied. */
sc_status sc_optimiser_create(sc_optimiser **out, sc_graph *graph, const sc_optimiser_kind *kind,
                              const sc_optimiser_options *options, const sc_param_setting *settings,
                              const sc_param_range *masked_ranges, size_t masked_count, sc_error *error);

/* NULL is allowed. */
void sc_optimiser_destroy(sc_optimiser *optimiser);

/* *norm gets the L2 norm of the gradients of all parameters that are trained, as one vector; those of numbers that stay
 * zero are set to zero first. The same bits for any number of threads. The plan: as for a step. */
sc_status sc_optimiser_gradient_norm(double *norm, const sc_optimiser *optimiser, const sc_plan *plan, sc_error *error);

/* One step on all parameters that are not frozen along the plan's gradients times grad_scale. The plan must be one with
 * params, of the same graph. Parameters and state that are shared are cloned first, so nobody else sees them change. */
sc_status sc_optimiser_step(sc_optimiser *optimiser, const sc_plan *plan, double lr, double grad_scale,
                            sc_error *error);

#endif
