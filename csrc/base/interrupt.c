#define _POSIX_C_SOURCE 200809L
#include "base/interrupt.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>

/* A handler is per process by nature, and threads with a Lua state each share it; so all this is too. */
static atomic_uint arrived;  /* SIGINTs so far */
static atomic_uint settled;  /* those of them that scopes have ended with; changes only while no scope is open */
static atomic_bool reported; /* as an error, since the first scope began */
_Static_assert(ATOMIC_INT_LOCK_FREE == 2, "the handler may run inside any other function");

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* over the rest */
static pthread_cond_t all_ended = PTHREAD_COND_INITIALIZER;
static size_t threads; /* that have a scope open */
static struct sigaction previous;

static _Thread_local int depth; /* of this thread's scopes */

static void on_sigint(int number) {
    (void)number;
    atomic_fetch_add(&arrived, 1);
}

static bool is_interrupted(void) {
    return atomic_load(&arrived) != atomic_load(&settled);
}

void sc_interrupt_begin(void) {
    if (depth++ > 0)
        return;
    pthread_mutex_lock(&lock);
    while (threads > 0 && is_interrupted()) /* those who were there when it came are leaving: it is not meant for us */
        pthread_cond_wait(&all_ended, &lock);
    if (threads++ == 0) {
        struct sigaction action = {.sa_handler = on_sigint};
        sigemptyset(&action.sa_mask);
        atomic_store(&reported, false);
        sigaction(SIGINT, &action, &previous);
    }
    pthread_mutex_unlock(&lock);
}

/* Puts the handler back that was there before, unless somebody has set another meanwhile; whether it has to hear of a
 * SIGINT. One whose handler still runs on another thread counts for the next scope. */
static bool end_last(void) {
    struct sigaction ours;
    sigaction(SIGINT, &previous, &ours);
    if (ours.sa_handler != on_sigint)
        sigaction(SIGINT, &ours, NULL);
    unsigned count = atomic_load(&arrived);
    bool unreported = count != atomic_load(&settled) && !atomic_load(&reported);
    atomic_store(&settled, count);
    pthread_cond_broadcast(&all_ended);
    return unreported;
}

void sc_interrupt_end(void) {
    if (--depth > 0)
        return;
    pthread_mutex_lock(&lock);
    bool unreported = --threads == 0 && end_last();
    pthread_mutex_unlock(&lock);
    if (unreported)
        raise(SIGINT);
}

sc_status sc_interrupt_check(sc_error *error) {
    if (!is_interrupted())
        return SC_OK;
    if (error)
        atomic_store(&reported, true);
    return sc_error_set(error, SC_ERROR_INTERRUPTED, "interrupted");
}
