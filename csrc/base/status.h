/* Errors as values: every function of the core that can fail returns a status and fills a message. */
#ifndef SC_BASE_STATUS_H
#define SC_BASE_STATUS_H

typedef enum sc_status {
    SC_OK = 0,
    SC_ERROR_ARGUMENT,    /* misuse: wrong type, shape, name or number */
    SC_ERROR_MEMORY,      /* an allocation failed, or a size does not fit */
    SC_ERROR_IO,          /* the operating system refused */
    SC_ERROR_FORMAT,      /* a file is not what it claims to be */
    SC_ERROR_NUMERIC,     /* a result is not finite */
    SC_ERROR_INTERRUPTED, /* the user pressed Ctrl-C */
} sc_status;

/* Where a failing function leaves its reason. The caller owns it; a NULL error is allowed and drops the message. */
typedef struct sc_error {
    sc_status status;
    char message[1024];
} sc_error;

/* Formats the message (cut, never overflowing) and returns status, so that `return sc_error_set(...)` reads well. */
sc_status sc_error_set(sc_error *error, sc_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Returns from the calling function when the expression is not SC_OK. For functions that own nothing at that point. */
#define SC_TRY(expression)                                                                                             \
    do {                                                                                                               \
        sc_status sc_try_status = (expression);                                                                        \
        if (sc_try_status != SC_OK)                                                                                    \
            return sc_try_status;                                                                                      \
    } while (0)

#endif
