/* What ends the work of several threads on images: the machine's failure, or Ctrl-C. */
#ifndef SC_IMAGE_FAULT_H
#define SC_IMAGE_FAULT_H

#include "base/status.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/* One for a loop, on the stack of who runs it. */
typedef struct sc_image_fault {
    atomic_bool is_set;
    size_t position; /* of the image; the first of those that failed */
    sc_error reason;
} sc_image_fault;

/* No fault so far. */
void sc_image_fault_init(sc_image_fault *fault);

/* Whether the loop should stop: something failed, or Ctrl-C came. Any thread may ask. */
bool sc_image_fault_is_set(sc_image_fault *fault);

/* Keeps the reason, unless an image before this position failed too. For the threads of an OpenMP loop. */
void sc_image_fault_set(sc_image_fault *fault, size_t position, const sc_error *reason);

/* After the loop: SC_OK, or what ended it. Ctrl-C comes before all else, and is reported. */
sc_status sc_image_fault_get(const sc_image_fault *fault, sc_error *error);

/* SC_ERROR_INTERRUPTED where a decoder on this thread should give up: Ctrl-C came, or who wanted the image does not any
 * more. Like sc_interrupt_check with NULL: who called the decoder reports it. */
sc_status sc_image_check_interrupt(sc_error *error);

/* Decoders on this thread also give up once the flag is true. NULL: no flag (any more). */
void sc_image_cancel_by(const atomic_bool *flag);

/* The status of a single decode, made inside an interrupt scope: where Ctrl-C ended it, the scope is told that the
 * caller reports it. Decoders leave that to who knows whether anybody hears of their error. */
sc_status sc_image_fault_report(sc_status status, sc_error *error);

#endif
