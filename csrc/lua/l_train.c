/* Training: the criteria. lua/secateur/training/train.lua drives it. */
#include "kernel/logistic.h"
#include "kernel/softmax.h"
#include "lua/core.h"
#include "lua/l_tensor.h"
#include "lua/support.h"
#include "train/loss.h"

static sc_tensor *check_logits(lua_State *L, const char *function) {
    sc_tensor *logits = sc_lua_check_tensor_of(L, 1, function, "logits", SC_REAL);
    char got[SC_SHAPE_TEXT];
    if (logits->shape.ndim != 2 || sc_tensor_numel(logits) == 0)
        sc_lua_fail(L, "%s: logits: expected [N x classes], got %s", function, sc_shape_format(got, &logits->shape));
    return logits;
}

static void check_vector(lua_State *L, const sc_tensor *tensor, const char *function, const char *argument,
                         size_t length) {
    char got[SC_SHAPE_TEXT];
    if (tensor->shape.ndim != 1 || tensor->shape.size[0] != length)
        sc_lua_fail(L, "%s: %s: expected [%d], got %s", function, argument, (int)length,
                    sc_shape_format(got, &tensor->shape));
}

static double optional_number(lua_State *L, int index, const char *function, const char *argument) {
    return lua_isnoneornil(L, index) ? 0 : sc_lua_check_number(L, index, function, argument);
}

/* Arguments 3 to 6 of both criteria. */
static sc_loss_options check_loss_options(lua_State *L, const char *function, const char *weights_name,
                                          size_t classes) {
    sc_loss_options options = {.smoothing = optional_number(L, 4, function, "smoothing"),
                               .total = optional_number(L, 5, function, "total"),
                               .gamma = optional_number(L, 6, function, "gamma")};
    if (!lua_isnoneornil(L, 3)) {
        sc_tensor *given = sc_lua_check_tensor_of(L, 3, function, weights_name, SC_REAL);
        check_vector(L, given, function, weights_name, classes);
        options.weights = sc_tensor_real(given);
    }
    return options;
}

/* cross_entropy(logits [N x classes], labels [N] int64 from 1 [, weights [classes] [, smoothing [, total [, gamma]]]])
 * -> loss, gradient of the logits */
static int cross_entropy(lua_State *L) {
    sc_tensor *logits = check_logits(L, "cross_entropy");
    size_t n = logits->shape.size[0], classes = logits->shape.size[1];
    sc_tensor *labels = sc_lua_check_tensor_of(L, 2, "cross_entropy", "labels", SC_INT64);
    check_vector(L, labels, "cross_entropy", "labels", n);
    sc_loss_options options = check_loss_options(L, "cross_entropy", "weights", classes);
    sc_tensor *dlogits;
    double loss;
    sc_error error;
    sc_lua_push_new(L, SC_REAL, &logits->shape, false, &dlogits);
    sc_lua_try(L,
               sc_loss_cross_entropy(&loss, sc_tensor_real(dlogits), sc_tensor_real(logits), sc_tensor_int64(labels), n,
                                     classes, &options, &error),
               &error);
    lua_pushnumber(L, loss);
    lua_insert(L, -2);
    return 2;
}

/* binary_cross_entropy(logits [N x findings], targets [N x findings], -1 unknown [, pos_weight [findings] [, smoothing
 * [, total [, gamma]]]]) -> loss, gradient of the logits */
static int binary_cross_entropy(lua_State *L) {
    const char *function = "binary_cross_entropy";
    char got[SC_SHAPE_TEXT], expected[SC_SHAPE_TEXT];
    sc_tensor *logits = check_logits(L, function);
    size_t n = logits->shape.size[0], classes = logits->shape.size[1];
    sc_tensor *targets = sc_lua_check_tensor_of(L, 2, function, "targets", SC_REAL);
    if (targets->shape.ndim != 2 || targets->shape.size[0] != n || targets->shape.size[1] != classes)
        sc_lua_fail(L, "%s: targets: expected %s, got %s", function, sc_shape_format(expected, &logits->shape),
                    sc_shape_format(got, &targets->shape));
    sc_loss_options options = check_loss_options(L, function, "pos_weight", classes);
    sc_tensor *dlogits;
    double loss;
    sc_error error;
    sc_lua_push_new(L, SC_REAL, &logits->shape, false, &dlogits);
    sc_lua_try(L,
               sc_loss_binary_cross_entropy(&loss, sc_tensor_real(dlogits), sc_tensor_real(logits),
                                            sc_tensor_real(targets), n, classes, &options, &error),
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
    sc_softmax64_forward(sc_tensor_real(p), sc_tensor_real(logits), logits->shape.size[0], logits->shape.size[1]);
    return 1;
}

/* sigmoid(logits [N x findings]) -> the probability of each finding [N x findings] */
static int sigmoid(lua_State *L) {
    sc_tensor *logits = check_logits(L, "sigmoid");
    sc_tensor *p;
    sc_lua_push_new(L, SC_REAL, &logits->shape, false, &p);
    sc_logistic64_forward(sc_tensor_real(p), sc_tensor_real(logits), sc_tensor_numel(logits));
    return 1;
}

void sc_lua_open_train(lua_State *L) {
    static const luaL_Reg functions[] = {{"cross_entropy", cross_entropy},
                                         {"binary_cross_entropy", binary_cross_entropy},
                                         {"softmax", softmax},
                                         {"sigmoid", sigmoid},
                                         {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
