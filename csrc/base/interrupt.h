/* Ctrl-C during long native work: a scope catches SIGINT and the loops inside it poll. */
#ifndef SC_BASE_INTERRUPT_H
#define SC_BASE_INTERRUPT_H

#include "base/status.h"

#include <stdbool.h>

/* From here to sc_interrupt_end, SIGINT sets a flag instead of doing what it did before. Scopes may nest. Only threads
 * that run Lua open them, several at a time where each has a state of its own: a SIGINT then is for all whose scope is
 * open, and who begins another while these end waits for them. */
void sc_interrupt_begin(void);

/* Puts the previous handler back when the outermost scope of the last thread ends. It gets a SIGINT that no check
 * reported: one that came after the last check, or where nothing checks. */
void sc_interrupt_end(void);

/* SC_ERROR_INTERRUPTED once SIGINT has come, SC_OK before; the answer stays the same for all threads until the scope
 * ends. Cheap; any thread may ask. Who asks with an `error` has to see to it that the caller gets it; who only wants to
 * stop early asks with NULL. */
sc_status sc_interrupt_check(sc_error *error);

#endif
