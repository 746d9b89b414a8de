/* Relevance propagation and measures per unit. lua/secateur/attribution makes the rules. */
#include "attribution/relevance.h"
#include "attribution/units.h"
#include "graph/batch_norm_folding.h"
#include "graph/executor.h"
#include "lua/core.h"
#include "lua/l_graph.h"
#include "lua/l_plan.h"
#include "lua/l_tensor.h"
#include "lua/rule_table.h"
#include "lua/support.h"

#include <string.h>

/* fold_batch_norm(graph) -> Graph: the same outputs, batch norms inside the layers before them. */
static int fold_batch_norm(lua_State *L) {
    const sc_graph *graph = sc_lua_check_graph(L, 1, "fold_batch_norm");
    sc_error error;
    sc_lua_collect_if_due(L);
    sc_graph **box = sc_lua_new_graph(L);
    sc_lua_try(L, sc_graph_fold_batch_norm(box, graph, &error), &error);
    return 1;
}

/* check_rule(rule) -> nil, or what is wrong with it: "groups[1].epsilon: expected a finite number of at least 0, got
 * -1".
 */
static int check_rule(lua_State *L) {
    sc_rule rule;
    lua_settop(L, 1);
    if (sc_lua_read_rule(L, 1, &rule))
        lua_pushnil(L);
    return 1;
}

/* ---- the class Relevance ---- */

static sc_relevance *check_relevance(lua_State *L, const char *method) {
    sc_relevance **box = luaL_testudata(L, 1, SC_LUA_CLASS("Relevance"));
    if (!box)
        sc_lua_expected(L, 1, method, "self", "a Relevance");
    else if (!*box)
        sc_lua_fail(L, "%s: self: expected a Relevance, got a closed one", method);
    return *box;
}

/* relevance(graph, {batch =, rules = {node = rule}, keep = names, sums = names, exact = false, second_relevance =
 * false}) -> Relevance. A rule is {kind = "linear", groups = {{coefficient =, gate =, epsilon =, terms = {{input =,
 * weight =, bias
 * =}}}}}, with modifiers {plain =, positive =, negative =, square =, constant =}; or {kind = "gated", mode = "default"
 * | "package"}; or {kind = "contrastive" | "gradient" | "pass" | "block"}; or {kind = "own", mode =, epsilon =}. Nodes
 * without a rule are an error. Of parameters replaced later, those set then are taken; elements set through a Tensor
 * that shares one are not seen. */
static int relevance_create(lua_State *L) {
    static const char *const known[] = {"batch", "rules", "keep", "sums", "exact", "second_relevance", NULL};
    sc_graph *graph = sc_lua_check_graph(L, 1, "relevance");
    if (!lua_istable(L, 2))
        sc_lua_expected(L, 2, "relevance", "options", "a table");
    sc_lua_check_keys(L, 2, "relevance", known);
    size_t batch = (size_t)sc_lua_field_integer(L, 2, "relevance", "batch", 1, 1, 1 << 24);
    sc_rule *rules = lua_newuserdatauv(L, (graph->node_count + 1) * sizeof(sc_rule), 0);
    memset(rules, 0, (graph->node_count + 1) * sizeof(sc_rule));
    if (sc_lua_field(L, 2, "rules") != LUA_TTABLE)
        sc_lua_expected(L, lua_gettop(L), "relevance", "rules", "a table of rules by node name");
    for (size_t i = 0; i < graph->node_count; i++) {
        if (graph->nodes[i].op->linearity == SC_LINEARITY_SOURCE)
            continue;
        const sc_node *node = &graph->nodes[i];
        if (sc_lua_field(L, -1, node->name) == LUA_TNIL)
            sc_lua_fail(L, "relevance: rules: expected one for every node, got none for '%s'", node->name);
        if (!sc_lua_read_rule(L, lua_gettop(L), &rules[i]))
            sc_lua_fail(L, "%s '%s': rule: %s", node->op->name, node->name, lua_tostring(L, -1));
        lua_pop(L, 1);
    }
    sc_relevance_request request = {.batch = batch, .rules = rules};
    request.exact = sc_lua_field_flag(L, 2, "relevance", "exact", false);
    request.second_relevance = sc_lua_field_flag(L, 2, "relevance", "second_relevance", false);
    request.keep = sc_lua_field_nodes(L, 2, "relevance", "keep", graph);
    request.sums = sc_lua_field_nodes(L, 2, "relevance", "sums", graph);
    sc_lua_collect_if_due(L);
    sc_error error;
    sc_relevance **box = sc_lua_new_object(L, SC_LUA_CLASS("Relevance"), sizeof(sc_relevance *));
    sc_lua_try(L, sc_relevance_create(box, graph, &request, &error), &error);
    return 1;
}

/* relevance:forward(x) -> value of the output */
static int relevance_forward(lua_State *L) {
    sc_plan *plan = check_relevance(L, "forward")->plan;
    sc_lua_refuse_in_finalizer(L, "forward");
    sc_tensor *x = sc_lua_check_tensor_of(L, 2, "forward", "x", SC_REAL);
    sc_error error;
    sc_lua_try(L, sc_plan_forward(plan, x, 0, &error), &error);
    return sc_lua_push_node(L, plan, plan->graph->output, sc_plan_value(plan, plan->graph->output));
}

/* A relevance at the output, from the stack. */
static const sc_real *check_start(lua_State *L, int index, const char *argument, const sc_plan *plan) {
    const sc_tensor *start = sc_lua_check_tensor_of(L, index, "backward", argument, SC_REAL);
    char wanted[SC_SHAPE_TEXT], got[SC_SHAPE_TEXT];
    sc_shape shape = sc_shape_prepend(&plan->graph->nodes[plan->graph->output].shape, plan->current_batch);
    if (!sc_shape_equal(&shape, &start->shape))
        sc_lua_fail(L, "backward: %s: expected %s, got %s", argument, sc_shape_format(wanted, &shape),
                    sc_shape_format(got, &start->shape));
    return sc_tensor_real(start);
}

/* relevance:backward(output_relevance [, second]): with second_relevance, the second starts from `second` */
static int relevance_backward(lua_State *L) {
    sc_relevance *relevance = check_relevance(L, "backward");
    const sc_real *start = check_start(L, 2, "output_relevance", relevance->plan);
    const sc_real *second = relevance->second ? check_start(L, 3, "second", relevance->plan) : NULL;
    sc_error error;
    sc_lua_try(L, sc_relevance_backward(relevance, start, second, &error), &error);
    return 0;
}

/* Whether the second relevance is asked for, by the flag at stack slot 3. */
static bool check_second(lua_State *L, const char *method, const sc_relevance *relevance) {
    bool second = sc_lua_check_flag(L, 3, method, "second", false);
    if (second && !relevance->second)
        sc_lua_fail(L, "%s: second: expected a Relevance with second_relevance", method);
    return second;
}

/* relevance:relevance(node [, second = false]) -> Tensor: a copy, for nodes kept (sources always are). */
static int relevance_at(lua_State *L) {
    sc_relevance *relevance = check_relevance(L, "relevance");
    sc_plan *plan = relevance->plan;
    size_t node = sc_lua_check_node(L, 2, plan->graph, "relevance");
    bool second = check_second(L, "relevance", relevance);
    const sc_real *data = second ? sc_second_relevance_at(relevance->second, node) : sc_plan_grad(plan, node);
    if (!data)
        sc_lua_fail(L, "relevance: node: expected one that is kept, after a backward pass, got '%s'",
                    lua_tostring(L, 2));
    return sc_lua_push_node(L, plan, node, data);
}

/* relevance:sums(node [, second = false]) -> Tensor [n x units], a copy, for nodes that sums were asked of. */
static int relevance_sums(lua_State *L) {
    sc_relevance *relevance = check_relevance(L, "sums");
    size_t node = sc_lua_check_node(L, 2, relevance->plan->graph, "sums");
    const sc_plan *plan = relevance->plan;
    if (!relevance->wants_sums[node] || !plan->current_batch || !plan->backward_done)
        sc_lua_fail(L, "sums: node: expected one that sums were asked of, after a backward pass, got '%s'",
                    lua_tostring(L, 2));
    const sc_tensor *sums = check_second(L, "sums", relevance) ? &relevance->second_sums[node] : &relevance->sums[node];
    sc_tensor *out;
    sc_shape shape = sums->shape;
    shape.size[0] = plan->current_batch;
    sc_lua_push_new(L, SC_REAL, &shape, false, &out);
    memcpy(sc_tensor_data(out), sc_tensor_data(sums), sc_tensor_numel(out) * sizeof(sc_real));
    return 1;
}

static int relevance_tostring(lua_State *L) {
    sc_relevance *const *box = luaL_checkudata(L, 1, SC_LUA_CLASS("Relevance"));
    return sc_lua_push_plan_text(L, "Relevance", *box ? (*box)->plan : NULL);
}

static int relevance_finalize(lua_State *L) {
    sc_relevance **box = luaL_checkudata(L, 1, SC_LUA_CLASS("Relevance"));
    sc_relevance_destroy(*box);
    *box = NULL;
    return 0;
}

/* unit_reduction(plan, node, measure) -> Tensor [n x units], of a plan that keeps the node: "mean_abs_value" (|h|),
 * "mean_abs_value_grad" (|h df/dh|). */
static int unit_reduction(lua_State *L) {
    static const char *const names[] = {"mean_abs_value", "mean_abs_value_grad", NULL};
    const sc_plan *plan = sc_lua_check_plan(L, 1, "unit_reduction");
    size_t node = sc_lua_check_node(L, 2, plan->graph, "unit_reduction");
    int choice = sc_lua_find_choice(sc_lua_check_string(L, 3, "unit_reduction", "measure"), names);
    if (choice < 0)
        return sc_lua_expected(L, 3, "unit_reduction", "measure", "'mean_abs_value' or 'mean_abs_value_grad'");
    const sc_real *value = sc_plan_value(plan, node), *grad = sc_plan_grad(plan, node);
    if (!value || (choice > 0 && !grad))
        sc_lua_fail(L, "unit_reduction: node: expected one named in keep, got '%s'", lua_tostring(L, 2));
    sc_shape shape = {2, {plan->current_batch, sc_node_units(&plan->graph->nodes[node])}};
    sc_tensor *out;
    sc_lua_push_new(L, SC_REAL, &shape, false, &out);
    sc_unit_reduce(sc_tensor_real(out), choice > 0 ? SC_UNIT_ABS_PRODUCT : SC_UNIT_MEAN_ABS, value, grad,
                   &plan->graph->nodes[node], plan->current_batch);
    return 1;
}

/* unit_products(plan, node) -> list per sample of lists per unit: sums over positions of value times gradient, and the
 * same of the gradient; of a plan that keeps both. Units are channels of maps, or the last dimension of tokens. */
static int unit_products(lua_State *L) {
    const sc_plan *plan = sc_lua_check_plan(L, 1, "unit_products");
    size_t index = sc_lua_check_node(L, 2, plan->graph, "unit_products"), n = plan->current_batch;
    const sc_real *value = sc_plan_value(plan, index), *grad = sc_plan_grad(plan, index);
    if (!value || !grad)
        sc_lua_fail(L, "unit_products: node: expected one named in keep and keep_grads, after backward(), got '%s'",
                    lua_tostring(L, 2));
    const sc_shape *shape = &plan->graph->nodes[index].shape;
    bool maps = shape->ndim != 2;
    size_t units = shape->size[maps ? 0 : 1], positions = sc_shape_numel(shape) / units;
    double *sums[2];
    for (int i = 0; i < 2; i++)
        sums[i] = lua_newuserdatauv(L, n * units * sizeof(double), 0);
    sc_unit_products(sums[0], sums[1], value, grad, n, units, positions, maps);
    for (int i = 0; i < 2; i++) {
        lua_createtable(L, (int)n, 0);
        for (size_t k = 0; k < n; k++) {
            lua_createtable(L, (int)units, 0);
            for (size_t u = 0; u < units; u++) {
                lua_pushnumber(L, sums[i][k * units + u]);
                lua_rawseti(L, -2, (lua_Integer)u + 1);
            }
            lua_rawseti(L, -2, (lua_Integer)k + 1);
        }
    }
    return 2;
}

void sc_lua_open_attribution(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"fold_batch_norm", fold_batch_norm}, {"check_rule", check_rule},       {"relevance", relevance_create},
        {"unit_reduction", unit_reduction},   {"unit_products", unit_products}, {NULL, NULL},
    };
    static const luaL_Reg methods[] = {
        {"forward", relevance_forward},
        {"backward", relevance_backward},
        {"relevance", relevance_at},
        {"sums", relevance_sums},
        {"close", relevance_finalize},
        {"__tostring", relevance_tostring},
        {NULL, NULL},
    };
    luaL_setfuncs(L, functions, 0);
    sc_lua_new_class(L, SC_LUA_CLASS("Relevance"), methods, relevance_finalize);
}
