/* Formats that stand in modules of their own: where these are, whose a DICOM file is, how files are to be decoded. */
#include "lua/l_image_decode.h"

#include "image/dicom.h"
#include "lua/core.h"
#include "lua/support.h"

#include <math.h>
#include <string.h>

static double window_number(lua_State *L, int window, int position, const char *function) {
    lua_rawgeti(L, window, position);
    if (!lua_isnumber(L, -1) || lua_type(L, -1) != LUA_TNUMBER || !isfinite(lua_tonumber(L, -1)))
        sc_lua_expected(L, window, function, "window", "\"file\", \"full\" or {centre, width}, two numbers");
    double number = lua_tonumber(L, -1);
    lua_pop(L, 1);
    return number;
}

static sc_window check_window(lua_State *L, int table, const char *function) {
    sc_window window = {.kind = SC_WINDOW_FILE};
    sc_lua_field(L, table, "window");
    int at = lua_gettop(L);
    const char *word = lua_type(L, at) == LUA_TSTRING ? lua_tostring(L, at) : "";
    if (strcmp(word, "full") == 0)
        window.kind = SC_WINDOW_FULL;
    else if (lua_istable(L, at) && lua_rawlen(L, at) == 2)
        window = (sc_window){.kind = SC_WINDOW_GIVEN,
                             .centre = window_number(L, at, 1, function),
                             .width = window_number(L, at, 2, function)};
    else if (!lua_isnil(L, at) && strcmp(word, "file") != 0)
        sc_lua_expected(L, at, function, "window", "\"file\", \"full\" or {centre, width}, two numbers");
    if (window.kind == SC_WINDOW_GIVEN && window.width < 1)
        sc_lua_fail(L, "%s: window: expected a width of at least 1, got %f", function, window.width);
    lua_pop(L, 1);
    return window;
}

sc_decode_options sc_lua_check_decode_options(lua_State *L, int table, const char *function) {
    sc_decode_options options = {0};
    options.limits.max_pixels = (size_t)sc_lua_field_integer(L, table, function, "max_pixels",
                                                             (lua_Integer)SC_IMAGE_MAX_PIXELS, 1, (lua_Integer)1 << 31);
    options.limits.max_bytes = (size_t)sc_lua_field_integer(L, table, function, "max_bytes", 0, 1, LUA_MAXINTEGER);
    options.window = check_window(L, table, function);
    return options;
}

/* set_codec(format, path): where the module of "TIFF", "WebP" or "DICOM" lies. */
static int set_codec(lua_State *L) {
    sc_error error;
    const char *name = sc_lua_check_text(L, 1, "set_codec", "format");
    const char *path = sc_lua_check_text(L, 2, "set_codec", "path");
    sc_image_format format = SC_IMAGE_UNKNOWN;
    for (sc_image_format each = SC_IMAGE_TIFF; each <= SC_IMAGE_DICOM; each++)
        if (strcmp(name, sc_image_format_name(each)) == 0)
            format = each;
    sc_lua_try_in(L, "set_codec", sc_codec_set_path(format, path, &error), &error);
    return 0;
}

/* codecs() -> table: format -> true, or the reason why its files cannot be read. Loads the modules. */
static int codecs(lua_State *L) {
    sc_error error;
    const void *table;
    lua_newtable(L);
    for (sc_image_format each = SC_IMAGE_TIFF; each <= SC_IMAGE_DICOM; each++) {
        if (sc_codec_find(&table, each, &error) == SC_OK)
            lua_pushboolean(L, 1);
        else
            lua_pushstring(L, error.message);
        lua_setfield(L, -2, sc_image_format_name(each));
    }
    return 1;
}

static void push_identifier(lua_State *L, const char *text) {
    if (text[0])
        lua_pushstring(L, text);
    else
        lua_pushnil(L);
}

/* dicom_identifiers(path) -> PatientID, StudyInstanceUID, SeriesInstanceUID (each nil where the file has none); or
 * false, message where it is no DICOM file. */
static int dicom_identifiers(lua_State *L) {
    sc_error error;
    sc_dicom_identifiers found;
    const char *path = sc_lua_check_text(L, 1, "dicom_identifiers", "path");
    sc_status status = sc_dicom_identifiers_load(&found, path, &error);
    if (status != SC_OK && status != SC_ERROR_FORMAT)
        sc_lua_try(L, status, &error);
    if (status != SC_OK) {
        lua_pushboolean(L, 0);
        lua_pushstring(L, error.message);
        return 2;
    }
    push_identifier(L, found.patient);
    push_identifier(L, found.study);
    push_identifier(L, found.series);
    return 3;
}

void sc_lua_open_image_decode(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"set_codec", set_codec},
        {"codecs", codecs},
        {"dicom_identifiers", dicom_identifiers},
        {NULL, NULL},
    };
    luaL_setfuncs(L, functions, 0);
}
