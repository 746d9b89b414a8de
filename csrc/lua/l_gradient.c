/* The class Gradients: sums of gradients over one run or many per sample. */
#include "attribution/noise.h"
#include "attribution/path.h"
#include "attribution/units.h"
#include "graph/executor.h"
#include "lua/core.h"
#include "lua/l_graph.h"
#include "lua/l_plan.h"
#include "lua/l_tensor.h"
#include "lua/support.h"

#include <string.h>

static sc_gradient *check_gradient(lua_State *L, const char *method) {
    sc_gradient **box = luaL_testudata(L, 1, SC_LUA_CLASS("Gradients"));
    if (!box)
        sc_lua_expected(L, 1, method, "self", "a Gradients");
    else if (!*box)
        sc_lua_fail(L, "%s: self: expected a Gradients, got a closed one", method);
    return *box;
}

/* The nodes named in a list at the field, each once, in a userdata left on the stack. */
static size_t *check_nodes(lua_State *L, const sc_graph *graph, size_t *count) {
    *count = 0;
    if (sc_lua_field(L, 2, "nodes") != LUA_TNIL && !lua_istable(L, -1))
        sc_lua_expected(L, -1, "gradients", "nodes", "a list of node names");
    int list = lua_gettop(L);
    size_t given = lua_isnil(L, list) ? 0 : (size_t)lua_rawlen(L, list);
    size_t *nodes = lua_newuserdatauv(L, (given + 1) * sizeof(size_t), 0);
    for (size_t i = 0; i < given; i++) {
        lua_rawgeti(L, list, (lua_Integer)i + 1);
        size_t node = sc_lua_check_node(L, -1, graph, "gradients"), seen = 0;
        lua_pop(L, 1);
        while (seen < *count && nodes[seen] != node)
            seen++;
        if (seen == *count)
            nodes[(*count)++] = node;
    }
    return nodes;
}

static sc_grad_quantity check_quantity(lua_State *L) {
    static const char *const names[] = {"gradient", "product", "conductance", NULL};
    int found = 0;
    if (sc_lua_field(L, 2, "quantity") != LUA_TNIL) {
        const char *text = sc_lua_check_string(L, lua_gettop(L), "gradients", "quantity");
        found = sc_lua_find_choice(text, names);
        if (found < 0)
            sc_lua_fail(L, "gradients: quantity: expected 'gradient', 'product' or 'conductance', got '%s'", text);
    }
    lua_pop(L, 1);
    return (sc_grad_quantity)found;
}

/* gradients(graph, {batch =, nodes = names, quantity = "gradient" (default) | "product" | "conductance", units = false,
 * guided = false}) -> Gradients: for runs of up to `batch` rows at a time, with the quantity summed at the nodes, whole
 * or per unit. */
static int gradients_create(lua_State *L) {
    static const char *const known[] = {"batch", "nodes", "quantity", "units", "guided", NULL};
    sc_graph *graph = sc_lua_check_graph(L, 1, "gradients");
    if (!lua_istable(L, 2))
        sc_lua_expected(L, 2, "gradients", "options", "a table");
    sc_lua_check_keys(L, 2, "gradients", known);
    sc_gradient_request request = {
        .batch = (size_t)sc_lua_field_integer(L, 2, "gradients", "batch", 1, 1, 1 << 24),
        .units = sc_lua_field_flag(L, 2, "gradients", "units", false),
        .guided = sc_lua_field_flag(L, 2, "gradients", "guided", false),
    };
    request.quantity = check_quantity(L);
    request.nodes = check_nodes(L, graph, &request.node_count);
    sc_lua_collect_if_due(L);
    sc_error error;
    sc_gradient **box = sc_lua_new_object(L, SC_LUA_CLASS("Gradients"), sizeof(sc_gradient *));
    sc_lua_try(L, sc_gradient_create(box, graph, &request, &error), &error);
    return 1;
}

/* n rows of a shape; n of 0: at least one. */
static sc_tensor *check_rows(lua_State *L, int index, const char *method, const char *argument, const sc_shape *shape,
                             size_t n) {
    sc_tensor *tensor = sc_lua_check_tensor_of(L, index, method, argument, SC_REAL);
    char wanted[SC_SHAPE_TEXT], got[SC_SHAPE_TEXT];
    sc_shape whole = sc_shape_prepend(shape, n ? n : (tensor->shape.ndim ? tensor->shape.size[0] : 0));
    if (!sc_shape_equal(&whole, &tensor->shape) || whole.size[0] == 0)
        sc_lua_fail(L, "%s: %s: expected %s%s, got %s", method, argument, n ? "" : "a batch of ",
                    sc_shape_format(wanted, n ? &whole : shape), sc_shape_format(got, &tensor->shape));
    return tensor;
}

static const sc_shape *input_shape(const sc_gradient *g) {
    return &g->plan->graph->nodes[g->input].shape;
}

static const sc_shape *output_shape(const sc_gradient *g) {
    return &g->plan->graph->nodes[g->plan->graph->output].shape;
}

/* gradients:forward(x) -> value of the output; x may have any number of rows. */
static int gradients_forward(lua_State *L) {
    sc_gradient *g = check_gradient(L, "forward");
    const sc_tensor *x = check_rows(L, 2, "forward", "x", input_shape(g), 0);
    size_t n = x->shape.size[0], numel = sc_shape_numel(output_shape(g));
    sc_shape shape = sc_shape_prepend(output_shape(g), n);
    sc_tensor *out, *rows = sc_lua_new_tensor(L); /* Lua owns it while errors may be raised */
    sc_lua_push_new(L, SC_REAL, &shape, false, &out);
    sc_error error;
    for (size_t first = 0; first < n; first += g->plan->batch) {
        size_t count = n - first < g->plan->batch ? n - first : g->plan->batch;
        sc_lua_try(L, sc_tensor_rows(rows, x, first, count, &error), &error);
        sc_lua_try(L, sc_plan_forward(g->plan, rows, 0, &error), &error);
        memcpy(sc_tensor_real(out) + first * numel, sc_plan_value(g->plan, g->plan->graph->output),
               count * numel * sizeof(sc_real));
        sc_tensor_release(rows);
    }
    return 1;
}

/* Pushes what a run will fill: the sum at the input (nil unless wanted) and a table of those at nodes. */
static sc_gradient_sums push_sums(lua_State *L, const sc_gradient *g, size_t n, bool input) {
    const sc_graph *graph = g->plan->graph;
    sc_gradient_sums sums = {0};
    sc_tensor *out;
    sc_real **nodes = lua_newuserdatauv(L, (g->node_count + 1) * sizeof(sc_real *), 0);
    sums.nodes = nodes;
    if (input) {
        sc_shape shape = sc_shape_prepend(input_shape(g), n);
        sc_lua_push_new(L, SC_REAL, &shape, false, &out);
        sums.input = sc_tensor_real(out);
    } else {
        lua_pushnil(L);
    }
    lua_createtable(L, 0, (int)g->node_count);
    for (size_t k = 0; k < g->node_count; k++) {
        const sc_node *node = &graph->nodes[g->nodes[k]];
        sc_shape shape = sc_shape_prepend(&node->shape, n);
        if (g->units)
            shape = (sc_shape){2, {n, sc_node_units(node)}};
        sc_lua_push_new(L, SC_REAL, &shape, false, &out);
        nodes[k] = sc_tensor_real(out);
        lua_setfield(L, -2, node->name);
    }
    return sums;
}

static double list_number(lua_State *L, int table, lua_Integer index) {
    lua_rawgeti(L, table, index);
    double value = sc_lua_check_number(L, -1, "along", "points");
    lua_pop(L, 1);
    return value;
}

/* The points {alpha, weight, whether it takes part at nodes, alpha, ...} at a stack slot, in a userdata left on the
 * stack. */
static const sc_point *check_points(lua_State *L, int table, size_t *count) {
    if (!lua_istable(L, table) || lua_rawlen(L, table) == 0 || lua_rawlen(L, table) % 3 != 0)
        sc_lua_expected(L, table, "along", "points", "a list of threes of numbers");
    *count = (size_t)lua_rawlen(L, table) / 3;
    sc_point *points = lua_newuserdatauv(L, *count * sizeof(sc_point), 0);
    for (size_t k = 0; k < *count; k++) {
        lua_Integer at = 3 * (lua_Integer)k;
        points[k].alpha = list_number(L, table, at + 1);
        points[k].weight = list_number(L, table, at + 2);
        points[k].node = list_number(L, table, at + 3) != 0;
        if (!(points[k].alpha >= (k ? points[k - 1].alpha : 0) && points[k].alpha <= 1))
            sc_lua_fail(L, "along: points: expected rising alphas in 0..1, got %f", points[k].alpha);
    }
    return points;
}

/* gradients:along(x, baseline, output_grad, points, input = true) -> Integrated Gradients like x (nil unless wanted),
 * {node = Tensor}; points: see check_points. */
static int gradients_along(lua_State *L) {
    sc_gradient *g = check_gradient(L, "along");
    sc_tensor *x = check_rows(L, 2, "along", "x", input_shape(g), 0);
    size_t n = x->shape.size[0];
    sc_path path = {
        .x = sc_tensor_real(x),
        .x0 = sc_tensor_real(check_rows(L, 3, "along", "baseline", input_shape(g), n)),
        .output_grad = sc_tensor_real(check_rows(L, 4, "along", "output_grad", output_shape(g), n)),
        .n = n,
    };
    bool input = sc_lua_check_flag(L, 6, "along", "input", true);
    path.points = check_points(L, 5, &path.point_count);
    sc_gradient_sums sums = push_sums(L, g, n, input);
    sc_error error;
    sc_lua_try(L, sc_path_integrate(g, &sums, &path, &error), &error);
    return 2;
}

/* gradients:around(x, output_grad, {samples = 1, noise_level = 0, seed = 0, first = 1, input = true}) -> sum at the
 * input like x, {node = Tensor}: the mean over noisy copies of each sample, see attribution/noise.h; by default the
 * gradient itself. `first` is the number of the first sample. */
static int gradients_around(lua_State *L) {
    static const char *const known[] = {"samples", "noise_level", "seed", "first", "input", NULL};
    sc_gradient *g = check_gradient(L, "around");
    sc_tensor *x = check_rows(L, 2, "around", "x", input_shape(g), 0);
    size_t n = x->shape.size[0];
    if (lua_isnoneornil(L, 4)) {
        lua_settop(L, 3);
        lua_newtable(L);
    }
    if (!lua_istable(L, 4))
        sc_lua_expected(L, 4, "around", "options", "a table");
    sc_lua_check_keys(L, 4, "around", known);
    sc_noise noise = {
        .x = sc_tensor_real(x),
        .output_grad = sc_tensor_real(check_rows(L, 3, "around", "output_grad", output_shape(g), n)),
        .n = n,
        .samples = (size_t)sc_lua_field_integer(L, 4, "around", "samples", 1, 1, 1 << 20),
        .noise_level = sc_lua_field_number(L, 4, "around", "noise_level", 0),
        .seed = (uint64_t)sc_lua_field_integer(L, 4, "around", "seed", 0, LUA_MININTEGER, LUA_MAXINTEGER),
        .first = (uint64_t)sc_lua_field_integer(L, 4, "around", "first", 1, 1, LUA_MAXINTEGER),
    };
    sc_gradient_sums sums = push_sums(L, g, n, sc_lua_field_flag(L, 4, "around", "input", true));
    sc_error error;
    sc_lua_try(L, sc_noise_average(g, &sums, &noise, &error), &error);
    return 2;
}

/* gradients:memory() -> bytes of values, gradients and inputs of a batch; bytes of scratch */
static int gradients_memory(lua_State *L) {
    const sc_gradient *g = check_gradient(L, "memory");
    size_t inputs = (sc_tensor_numel(&g->points) + sc_tensor_numel(&g->output_grad)) * sizeof(sc_real);
    lua_pushinteger(L, (lua_Integer)(g->plan->arena_bytes + inputs));
    lua_pushinteger(L, (lua_Integer)g->plan->scratch_bytes);
    return 2;
}

static int gradients_tostring(lua_State *L) {
    sc_gradient *const *box = luaL_checkudata(L, 1, SC_LUA_CLASS("Gradients"));
    return sc_lua_push_plan_text(L, "Gradients", *box ? (*box)->plan : NULL);
}

static int gradients_finalize(lua_State *L) {
    sc_gradient **box = luaL_checkudata(L, 1, SC_LUA_CLASS("Gradients"));
    sc_gradient_destroy(*box);
    *box = NULL;
    return 0;
}

void sc_lua_open_gradient(lua_State *L) {
    static const luaL_Reg functions[] = {{"gradients", gradients_create}, {NULL, NULL}};
    static const luaL_Reg methods[] = {
        {"forward", gradients_forward},
        {"along", gradients_along},
        {"around", gradients_around},
        {"memory", gradients_memory},
        {"close", gradients_finalize},
        {"__tostring", gradients_tostring},
        {NULL, NULL},
    };
    luaL_setfuncs(L, functions, 0);
    sc_lua_new_class(L, SC_LUA_CLASS("Gradients"), methods, gradients_finalize);
}
