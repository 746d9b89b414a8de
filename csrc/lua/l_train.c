/* Training: the criterion and the class Adam. lua/secateur/train.lua drives them. */
#include "lua/core.h"
#include "lua/l_graph.h"
#include "lua/l_plan.h"
#include "lua/l_tensor.h"
#include "lua/support.h"
#include "train/adam.h"
#include "train/loss.h"

#include <string.h>

static const char *const moment_names[] = {"m", "v"};

static sc_tensor *check_logits(lua_State *L, const char *function) {
    sc_tensor *logits = sc_lua_check_tensor_of(L, 1, function, "logits", SC_REAL);
    char got[SC_SHAPE_TEXT];
    if (logits->shape.ndim != 2 || sc_tensor_numel(logits) == 0)
        luaL_error(L, "%s: logits: expected [N x classes], got %s", function, sc_shape_format(got, &logits->shape));
    return logits;
}

static void check_vector(lua_State *L, const sc_tensor *tensor, const char *argument, size_t length) {
    char got[SC_SHAPE_TEXT];
    if (tensor->shape.ndim != 1 || tensor->shape.size[0] != length)
        luaL_error(L, "cross_entropy: %s: expected [%d], got %s", argument, (int)length,
                   sc_shape_format(got, &tensor->shape));
}

/* cross_entropy(logits [N x classes], labels [N] int64 from 1 [, weights [classes]]) -> loss, gradient of the logits */
static int cross_entropy(lua_State *L) {
    sc_tensor *logits = check_logits(L, "cross_entropy");
    size_t n = logits->shape.size[0], classes = logits->shape.size[1];
    sc_tensor *labels = sc_lua_check_tensor_of(L, 2, "cross_entropy", "labels", SC_INT64);
    check_vector(L, labels, "labels", n);
    const sc_real *weights = NULL;
    if (!lua_isnoneornil(L, 3)) {
        sc_tensor *given = sc_lua_check_tensor_of(L, 3, "cross_entropy", "weights", SC_REAL);
        check_vector(L, given, "weights", classes);
        weights = sc_tensor_real(given);
    }
    sc_tensor *dlogits;
    double loss;
    sc_error error;
    sc_lua_push_new(L, SC_REAL, &logits->shape, false, &dlogits);
    sc_lua_try(L,
               sc_loss_cross_entropy(&loss, sc_tensor_real(dlogits), sc_tensor_real(logits), sc_tensor_int64(labels),
                                     weights, n, classes, &error),
               &error);
    lua_pushnumber(L, loss);
    lua_insert(L, -2);
    return 2;
}

/* softmax(logits [N x classes]) -> probabilities [N x classes] */
static int softmax(lua_State *L) {
    sc_tensor *logits = check_logits(L, "softmax");
    sc_tensor *p;
    sc_lua_push_new(L, SC_REAL, &logits->shape, false, &p);
    sc_loss_softmax(sc_tensor_real(p), sc_tensor_real(logits), logits->shape.size[0], logits->shape.size[1]);
    return 1;
}

/* ---- Adam ---- */

static sc_adam *check_adam(lua_State *L, const char *function) {
    sc_adam **box = luaL_testudata(L, 1, SC_LUA_CLASS("Adam"));
    if (!box || !*box)
        sc_lua_expected(L, 1, function, "self", "an Adam");
    return *box;
}

/* adam(graph [, {beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0}]) -> Adam with all moments zero */
static int create(lua_State *L) {
    static const char *const known[] = {"beta1", "beta2", "eps", "weight_decay", NULL};
    sc_graph *graph = sc_lua_check_graph(L, 1, "adam");
    sc_adam_options options = sc_adam_defaults;
    if (!lua_isnoneornil(L, 2)) {
        if (!lua_istable(L, 2))
            sc_lua_expected(L, 2, "adam", "options", "a table");
        sc_lua_check_keys(L, 2, "adam", known);
        options.beta1 = sc_lua_field_number(L, 2, "adam", "beta1", options.beta1);
        options.beta2 = sc_lua_field_number(L, 2, "adam", "beta2", options.beta2);
        options.eps = sc_lua_field_number(L, 2, "adam", "eps", options.eps);
        options.weight_decay = sc_lua_field_number(L, 2, "adam", "weight_decay", options.weight_decay);
    }
    sc_lua_collect_if_due(L);
    sc_adam **box = sc_lua_new_object(L, SC_LUA_CLASS("Adam"), sizeof(sc_adam *));
    sc_error error;
    sc_lua_try(L, sc_adam_create(box, graph, &options, &error), &error);
    return 1;
}

/* adam:step(plan, lr): changes all trainable parameters along the plan's gradients. */
static int step(lua_State *L) {
    sc_adam *adam = check_adam(L, "step");
    sc_plan *plan = sc_lua_check_plan(L, 2, "step");
    sc_error error;
    sc_lua_try(L, sc_adam_step(adam, plan, sc_lua_check_number(L, 3, "step", "lr"), &error), &error);
    return 0;
}

/* Pushes "m/NAME" or "v/NAME" for moment i. */
static void push_moment_name(lua_State *L, const sc_adam *adam, size_t i) {
    lua_pushfstring(L, "%s/%s", moment_names[i / adam->count], adam->graph->parameters[i % adam->count].name);
}

/* adam:state() -> table: "m/NAME" and "v/NAME" -> Tensor, "steps" -> int64 Tensor [1]. Later steps change copies. */
static int state(lua_State *L) {
    sc_adam *adam = check_adam(L, "state");
    const sc_shape one = {.ndim = 1, .size = {1}};
    sc_tensor *steps;
    lua_newtable(L);
    for (size_t i = 0; i < 2 * adam->count; i++) {
        if (!adam->moments[i].storage)
            continue;
        push_moment_name(L, adam, i);
        sc_lua_push_shared(L, &adam->moments[i]);
        lua_rawset(L, -3);
    }
    sc_lua_push_new(L, SC_INT64, &one, true, &steps);
    *sc_tensor_int64(steps) = (int64_t)adam->steps;
    lua_setfield(L, -2, "steps");
    return 1;
}

/* The tensor of a table's field, whose name is on top of the stack and stays there; it lives as long as the table. */
static sc_tensor *check_entry(lua_State *L, int table, sc_dtype dtype, const sc_shape *shape) {
    const char *name = lua_tostring(L, -1);
    char wanted[SC_SHAPE_TEXT], got[SC_SHAPE_TEXT];
    lua_pushvalue(L, -1);
    lua_rawget(L, table);
    sc_tensor *tensor = sc_lua_check_tensor_of(L, -1, "load", name, dtype);
    if (!sc_shape_equal(&tensor->shape, shape))
        luaL_error(L, "load: %s: expected %s, got %s", name, sc_shape_format(wanted, shape),
                   sc_shape_format(got, &tensor->shape));
    lua_pop(L, 1);
    return tensor;
}

/* adam:load(state): takes moments and the number of steps from what adam:state() gave; all or none. */
static int load(lua_State *L) {
    sc_adam *adam = check_adam(L, "load");
    const sc_shape one = {.ndim = 1, .size = {1}};
    if (!lua_istable(L, 2))
        sc_lua_expected(L, 2, "load", "state", "a table");
    lua_settop(L, 2);
    lua_pushliteral(L, "steps");
    int64_t steps = *sc_tensor_int64(check_entry(L, 2, SC_INT64, &one));
    if (steps < 0)
        luaL_error(L, "load: steps: expected at least 0");
    for (int pass = 0; pass < 2; pass++) /* first all are judged, then all are taken */
        for (size_t i = 0; i < 2 * adam->count; i++) {
            if (!adam->moments[i].storage)
                continue;
            lua_settop(L, 2);
            push_moment_name(L, adam, i);
            sc_tensor *tensor = check_entry(L, 2, SC_REAL, &adam->moments[i].shape);
            if (pass == 1) {
                sc_tensor shared = sc_tensor_share(tensor);
                sc_tensor_release(&adam->moments[i]);
                adam->moments[i] = shared;
            }
        }
    adam->steps = (size_t)steps;
    return 0;
}

static int finalize(lua_State *L) {
    sc_adam **box = luaL_checkudata(L, 1, SC_LUA_CLASS("Adam"));
    sc_adam_free(*box);
    *box = NULL;
    return 0;
}

void sc_lua_open_train(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"cross_entropy", cross_entropy}, {"softmax", softmax}, {"adam", create}, {NULL, NULL}};
    static const luaL_Reg methods[] = {
        {"step", step}, {"state", state}, {"load", load}, {"close", finalize}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
    sc_lua_new_class(L, SC_LUA_CLASS("Adam"), methods, finalize);
}
