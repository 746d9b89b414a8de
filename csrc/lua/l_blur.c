/* Gaussian blur of images in a tensor. */
#include "base/interrupt.h"
#include "kernel/blur.h"
#include "lua/core.h"
#include "lua/l_tensor.h"
#include "lua/support.h"

/* gaussian_blur(x [... x H x W], sigma) -> Tensor like x: every plane blurred with a standard deviation of sigma
 * pixels, borders continued by the nearest pixel. */
static int gaussian_blur(lua_State *L) {
    const sc_tensor *x = sc_lua_check_tensor_of(L, 1, "gaussian_blur", "x", SC_REAL);
    double sigma = sc_lua_check_number(L, 2, "gaussian_blur", "sigma");
    char text[SC_SHAPE_TEXT];
    if (x->shape.ndim < 2)
        sc_lua_fail(L, "gaussian_blur: x: expected planes [... x H x W], got %s", sc_shape_format(text, &x->shape));
    if (!(sigma > 0 && sigma <= 1000))
        sc_lua_fail(L, "gaussian_blur: sigma: expected a number in (0, 1000], got %f", sigma);
    size_t height = x->shape.size[x->shape.ndim - 2], width = x->shape.size[x->shape.ndim - 1];
    sc_blur_kernel kernel = {.radius = sc_blur_radius(sigma)};
    kernel.weights = lua_newuserdatauv(L, (kernel.radius + 1) * sizeof(double), 0);
    sc_tensor *out, *scratch;
    sc_lua_push_new(L, SC_REAL, &x->shape, false, &scratch);
    sc_lua_push_new(L, SC_REAL, &x->shape, false, &out);
    sc_blur_kernel_init(&kernel, sigma);
    sc_error error;
    sc_status status = SC_OK;
    sc_interrupt_begin();
    if (sc_tensor_numel(x) > 0)
        status = sc_blur(sc_tensor_real(out), sc_tensor_real(scratch), sc_tensor_real(x), &kernel,
                         sc_tensor_numel(x) / (height * width), height, width, &error);
    sc_interrupt_end();
    sc_tensor_release(scratch);
    sc_lua_try(L, status, &error);
    return 1;
}

void sc_lua_open_blur(lua_State *L) {
    static const luaL_Reg functions[] = {{"gaussian_blur", gaussian_blur}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
