/* A thread that lets MPI go on with sends while Lua computes. Without it, a message that MPI does not hand over at once
 * (more than a few kilobytes) would wait until its sender calls MPI again: a rank that gives others work and then works
 * itself would keep them waiting. Only one thread is inside MPI at a time. */
#define _POSIX_C_SOURCE 200809L
#include "mpi/state.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* over MPI and sc_mpi */
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER;   /* there is something to send, or an end */
static pthread_t thread;
static bool is_running, must_end;

void sc_mpi_begin_call(void) {
    pthread_mutex_lock(&lock);
}

void sc_mpi_sleep(double seconds) {
    struct timespec time = {.tv_sec = (time_t)seconds, .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9)};
    pthread_mutex_unlock(&lock);
    nanosleep(&time, NULL); /* a signal ends it, and is looked for next */
    pthread_mutex_lock(&lock);
}

static void *run(void *unused) {
    static const double most = 1e-3, patience = 1; /* a receiver that has not come by then may be far from it */
    sc_mpi_wait wait = sc_mpi_wait_begin();
    size_t count = 0;
    pthread_mutex_lock(&lock);
    while (!must_end) {
        if (sc_mpi.pending_count == 0) {
            pthread_cond_wait(&wake, &lock);
            continue;
        }
        if (sc_mpi.pending_count != count)
            wait = sc_mpi_wait_begin();
        count = sc_mpi.pending_count;
        sc_mpi_sleep(sc_mpi_wait_seconds(&wait) < patience ? SC_MPI_TRANSFER_PAUSE : most);
        if (!must_end && sc_mpi_finish_sends(true, NULL) != SC_OK)
            must_end = true; /* the next call finds out for itself */
    }
    pthread_mutex_unlock(&lock);
    return unused;
}

/* Signals are for the threads that run Lua. */
static bool start(void) {
    sigset_t all, before;
    sigfillset(&all);
    if (pthread_sigmask(SIG_SETMASK, &all, &before) != 0)
        return false;
    bool good = pthread_create(&thread, NULL, run, NULL) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return good;
}

void sc_mpi_end_call(void) {
    if (sc_mpi.pending_count > 0 && sc_mpi.may_thread) {
        is_running = is_running || start();
        pthread_cond_signal(&wake);
    }
    pthread_mutex_unlock(&lock);
}

void sc_mpi_stop_progress(void) {
    if (!is_running)
        return;
    pthread_mutex_lock(&lock);
    must_end = true;
    pthread_cond_signal(&wake);
    pthread_mutex_unlock(&lock);
    pthread_join(thread, NULL);
    is_running = false;
}
