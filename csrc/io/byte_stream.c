#include "io/byte_stream.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

sc_status sc_byte_stream_read(sc_byte_stream *stream, void *out, size_t length, sc_error *error) {
    if (length > stream->left)
        return sc_byte_stream_fail(stream, error, "cut short: expected %zu more bytes, got %" PRIu64, length,
                                   stream->left);
    SC_TRY(stream->read(stream, out, length, error));
    stream->left -= length;
    return SC_OK;
}

sc_status sc_byte_stream_fail(const sc_byte_stream *stream, sc_error *error, const char *format, ...) {
    char message[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    return sc_error_set(error, SC_ERROR_FORMAT, "%s: %s", stream->label, message);
}
