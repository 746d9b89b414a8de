#include "io/source.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

sc_status sc_source_read(sc_source *source, void *out, size_t length, sc_error *error) {
    if (length > source->left)
        return sc_source_fail(source, error, "cut short: expected %zu more bytes, got %" PRIu64, length, source->left);
    SC_TRY(source->read(source, out, length, error));
    source->left -= length;
    return SC_OK;
}

sc_status sc_source_fail(const sc_source *source, sc_error *error, const char *format, ...) {
    char message[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    return sc_error_set(error, SC_ERROR_FORMAT, "%s: %s", source->label, message);
}
