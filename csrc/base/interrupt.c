#define _POSIX_C_SOURCE 200809L
#include "base/interrupt.h"

#include <signal.h>
#include <stddef.h>

/* Signal handlers are per process by nature, so this is too. */
static volatile sig_atomic_t interrupted;
static int depth;
static struct sigaction previous;

static void remember(int number) {
    (void)number;
    interrupted = 1;
}

void sc_interrupt_begin(void) {
    if (depth++ > 0)
        return;
    interrupted = 0;
    struct sigaction action = {.sa_handler = remember};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, &previous);
}

void sc_interrupt_end(void) {
    if (--depth > 0)
        return;
    sigaction(SIGINT, &previous, NULL);
    interrupted = 0;
}

sc_status sc_interrupt_check(sc_error *error) {
    if (!interrupted)
        return SC_OK;
    return sc_error_set(error, SC_ERROR_INTERRUPTED, "interrupted");
}
