#define _POSIX_C_SOURCE 200809L
#include "base/interrupt.h"

#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>

/* Signal handlers are per process by nature, so this is too. */
static volatile sig_atomic_t interrupted;
static atomic_bool reported; /* as an error, since it came */
static int depth;
static struct sigaction previous;

static void on_sigint(int number) {
    (void)number;
    interrupted = 1;
}

void sc_interrupt_begin(void) {
    if (depth++ > 0)
        return;
    interrupted = 0;
    atomic_store(&reported, false);
    struct sigaction action = {.sa_handler = on_sigint};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, &previous);
}

void sc_interrupt_end(void) {
    if (--depth > 0)
        return;
    sigaction(SIGINT, &previous, NULL);
    bool unreported = interrupted && !atomic_load(&reported);
    interrupted = 0;
    if (unreported)
        raise(SIGINT);
}

sc_status sc_interrupt_check(sc_error *error) {
    if (!interrupted)
        return SC_OK;
    if (error)
        atomic_store(&reported, true);
    return sc_error_set(error, SC_ERROR_INTERRUPTED, "interrupted");
}
