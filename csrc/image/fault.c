#include "image/fault.h"

#include "base/interrupt.h"

/* As with stb.c's: GCC 12's LeakSanitizer wants variables of threads in the static block. */
#ifdef SC_SANITIZE
#define THREAD_LOCAL _Thread_local __attribute__((tls_model("initial-exec")))
#else
#define THREAD_LOCAL _Thread_local
#endif

/* Decoders are called through libraries that take no context. */
static THREAD_LOCAL const atomic_bool *cancelled;

void sc_image_cancel_by(const atomic_bool *flag) {
    cancelled = flag;
}

sc_status sc_image_check_interrupt(sc_error *error) {
    if (cancelled && atomic_load_explicit(cancelled, memory_order_relaxed))
        return sc_error_set(error, SC_ERROR_INTERRUPTED, "interrupted");
    return sc_interrupt_check(NULL) == SC_OK ? SC_OK : sc_error_set(error, SC_ERROR_INTERRUPTED, "interrupted");
}

void sc_image_fault_init(sc_image_fault *fault) {
    atomic_init(&fault->is_set, false);
    fault->position = 0;
    fault->reason.status = SC_OK;
}

bool sc_image_fault_is_set(sc_image_fault *fault) {
    return atomic_load_explicit(&fault->is_set, memory_order_relaxed) || sc_interrupt_check(NULL) != SC_OK;
}

void sc_image_fault_set(sc_image_fault *fault, size_t position, const sc_error *reason) {
#pragma omp critical(sc_image_fault)
    {
        if (fault->reason.status == SC_OK || position < fault->position) {
            fault->position = position;
            fault->reason = *reason;
        }
        atomic_store_explicit(&fault->is_set, true, memory_order_relaxed);
    }
}

sc_status sc_image_fault_get(const sc_image_fault *fault, sc_error *error) {
    sc_status status = sc_interrupt_check(error);
    if (status == SC_OK && fault->reason.status != SC_OK)
        status = sc_error_set(error, fault->reason.status, "%s", fault->reason.message);
    return status;
}

sc_status sc_image_fault_report(sc_status status, sc_error *error) {
    if (status == SC_ERROR_INTERRUPTED)
        sc_interrupt_check(error);
    return status;
}
