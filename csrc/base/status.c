#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>

sc_status sc_error_set(sc_error *error, sc_status status, const char *format, ...) {
    if (error) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(error->message, sizeof error->message, format, arguments);
        va_end(arguments);
        error->status = status;
    }
    return status;
}
