/* The beginning and the end of MPI, notices of ranks that fail or end, and waiting. */
#define _GNU_SOURCE
#include "mpi/state.h"

#include "base/clock.h"
#include "base/memory.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* As MPI's own state is, this is the process's; one Lua state at a time uses it (lua/mpi.c). */
sc_mpi_state sc_mpi = {.failed_rank = -1, .list = {.previous = &sc_mpi.list, .next = &sc_mpi.list}, .piece = 1 << 30};

static const char LEFT = 'L', FAILED = 'F'; /* what a notice begins with */

sc_status sc_mpi_check(int code, const char *function, sc_error *error) {
    if (code == MPI_SUCCESS)
        return SC_OK;
    char text[MPI_MAX_ERROR_STRING] = "";
    int length = 0;
    if (MPI_Error_string(code, text, &length) != MPI_SUCCESS)
        snprintf(text, sizeof text, "error %d", code);
    return sc_error_set(error, SC_ERROR_IO, "%s: %s", function, text);
}

/* ---- waiting ---- */

sc_mpi_wait sc_mpi_wait_begin(void) {
    return (sc_mpi_wait){.began = sc_clock_seconds()};
}

double sc_mpi_wait_seconds(const sc_mpi_wait *wait) {
    return sc_clock_seconds() - wait->began;
}

static void pause_up_to(const sc_mpi_wait *wait, double most) {
    static const double spin = 50e-6, least = 20e-6;
    double waited = sc_mpi_wait_seconds(wait), pause = waited / 8;
    if (waited < spin)
        return;
    pause = pause < least ? least : pause > most ? most : pause;
    sc_mpi_sleep(pause);
}

void sc_mpi_wait_pause(const sc_mpi_wait *wait) {
    pause_up_to(wait, 5e-3);
}

void sc_mpi_transfer_pause(const sc_mpi_wait *wait) {
    pause_up_to(wait, SC_MPI_TRANSFER_PAUSE);
}

/* ---- notices ---- */

/* Only the first failure counts; what others say later follows from it. */
static sc_status keep_failure(int rank, const char *text, size_t size, sc_error *error) {
    void *copy;
    if (sc_mpi.failed_rank >= 0)
        return SC_OK;
    SC_TRY(sc_memory_alloc(&copy, size + 1, 1, error));
    memcpy(copy, text, size);
    ((char *)copy)[size] = '\0';
    sc_mpi.failed_text = copy;
    sc_mpi.failed_rank = rank;
    return SC_OK;
}

sc_status sc_mpi_note(int rank, const char *bytes, size_t size, sc_error *error) {
    if (bytes[0] == LEFT && !sc_mpi.left[rank]) {
        sc_mpi.left[rank] = true;
        sc_mpi.others--;
    } else if (bytes[0] == FAILED) {
        return keep_failure(rank, bytes + 1, size - 1, error);
    }
    return SC_OK;
}

sc_status sc_mpi_report_failure(const char *text, size_t size, sc_error *error) {
    if (sc_mpi.failed_rank >= 0)
        return SC_OK;
    SC_TRY(keep_failure(sc_mpi.place.rank, text, size, error));
    return sc_mpi_notify(FAILED, text, size, error);
}

int sc_mpi_find_failure(double seconds, const char **text) {
    sc_mpi_wait wait = sc_mpi_wait_begin();
    while (sc_mpi.is_started && sc_mpi_read_notices(NULL) == SC_OK && sc_mpi.failed_rank < 0 &&
           sc_mpi_wait_seconds(&wait) < seconds)
        sc_mpi_wait_pause(&wait);
    *text = sc_mpi.failed_text;
    return sc_mpi.failed_rank;
}

/* ---- the beginning ---- */

void sc_mpi_library(char *text, size_t size) {
    char whole[MPI_MAX_LIBRARY_VERSION_STRING] = "";
    int length = 0;
    MPI_Get_library_version(whole, &length);
    whole[strcspn(whole, "\n")] = '\0';
    for (char *at = whole; (at = strpbrk(at, "\t\r")) != NULL; at++) /* MPICH's columns */
        *at = ' ';
    snprintf(text, size, "%s", whole);
}

void sc_mpi_set_piece(size_t bytes) {
    sc_mpi.piece = bytes;
}

const sc_mpi_place *sc_mpi_find_place(void) {
    return &sc_mpi.place;
}

static void on_sigterm(int number) {
    (void)number;
    kill(getpid(), SIGINT);
}

/* Launchers end processes by SIGTERM: Open MPI's on Ctrl-C, Slurm at the end of the time. Who has a handler keeps it.
 */
static void hear_sigterm(void) {
    struct sigaction now, action = {.sa_handler = on_sigterm, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    if (sigaction(SIGTERM, NULL, &now) == 0 && !(now.sa_flags & SA_SIGINFO) && now.sa_handler == SIG_DFL)
        sigaction(SIGTERM, &action, NULL);
}

#ifdef __GLIBC__
static void at_end(int status, void *unused) {
    (void)unused;
    sc_mpi_leave(status);
}
static int register_end(void) {
    return on_exit(at_end, NULL);
}
#else /* other C libraries do not tell the status: an end is never taken for a failure */
static void at_end(void) {
    sc_mpi_leave(0);
}
static int register_end(void) {
    return atexit(at_end);
}
#endif

static sc_status find_place(sc_error *error) {
    int length = 0;
    sc_mpi_place *place = &sc_mpi.place;
    SC_TRY(sc_mpi_check(MPI_Comm_rank(sc_mpi.comm, &place->rank), "MPI_Comm_rank", error));
    SC_TRY(sc_mpi_check(MPI_Comm_size(sc_mpi.comm, &place->size), "MPI_Comm_size", error));
    SC_TRY(sc_mpi_check(MPI_Get_processor_name(sc_mpi.host, &length), "MPI_Get_processor_name", error));
    place->host = sc_mpi.host;
    void *left;
    SC_TRY(sc_memory_calloc(&left, (size_t)place->size, sizeof(bool), error));
    sc_mpi.left = left;
    sc_mpi.others = place->size - 1;
    return sc_mpi_find_cores(place, error);
}

sc_status sc_mpi_start(sc_error *error) {
    if (sc_mpi.is_started)
        return SC_OK;
    int has_begun = 0, has_ended = 0, level = 0;
    SC_TRY(sc_mpi_check(MPI_Initialized(&has_begun), "MPI_Initialized", error));
    SC_TRY(sc_mpi_check(MPI_Finalized(&has_ended), "MPI_Finalized", error));
    if (has_ended)
        return sc_error_set(error, SC_ERROR_IO, "MPI has been ended in this process");
    if (!has_begun)
        SC_TRY(sc_mpi_check(MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, &level), "MPI_Init_thread", error));
    sc_mpi.is_owner = !has_begun;
    sc_mpi.may_thread = !has_begun && level >= MPI_THREAD_SERIALIZED;
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    SC_TRY(sc_mpi_check(MPI_Comm_dup(MPI_COMM_WORLD, &sc_mpi.comm), "MPI_Comm_dup", error));
    MPI_Comm_set_errhandler(sc_mpi.comm, MPI_ERRORS_RETURN);
    SC_TRY(find_place(error));
    if (register_end() != 0)
        return sc_error_set(error, SC_ERROR_MEMORY, "the end of the process cannot be seen");
    hear_sigterm();
    sc_mpi.is_started = true;
    return SC_OK;
}

/* ---- the end ---- */

/* Drops what still comes, so that no send waits for it, until `done`. */
static sc_status drain(bool (*done)(sc_error *error)) {
    sc_mpi_wait wait = sc_mpi_wait_begin();
    while (true) {
        SC_TRY(sc_mpi_drop_messages(NULL));
        SC_TRY(sc_mpi_finish_sends(true, NULL));
        if (done(NULL))
            return SC_OK;
        sc_mpi_wait_pause(&wait);
    }
}

static bool have_all_left(sc_error *error) {
    (void)error;
    return sc_mpi.others == 0;
}

static bool is_all_sent(sc_error *error) {
    (void)error;
    return sc_mpi.pending_count == 0;
}

/* Connections that MPICH has begun to make (UCX over TCP) are made while both sides call it. One that is not there when
 * a side closes it in MPI_Finalize keeps that side waiting for another, which waits elsewhere. */
static bool is_settled(sc_error *error) {
    static double began;
    (void)error;
    if (began == 0)
        began = sc_clock_seconds();
    return sc_clock_seconds() - began > 0.3;
}

static MPI_Request meeting; /* of all ranks, when they have sent everything */

static bool have_all_met(sc_error *error) {
    int done = 0;
    return sc_mpi_check(MPI_Test(&meeting, &done, MPI_STATUS_IGNORE), "MPI_Test", error) != SC_OK || done;
}

static volatile sig_atomic_t exit_status;

static void on_alarm(int number) {
    (void)number;
    _exit(exit_status);
}

/* MPI_Finalize waits for all ranks in ways that nothing here can wake, and over TCP has been seen to wait for ever
 * where a rank had failed. All that was sent has arrived before it is called, so that a process loses nothing by ending
 * without it after a while. */
static void finalize(int status) {
    enum { FAILED_SECONDS = 3, SECONDS = 10 };
    struct sigaction action = {.sa_handler = on_alarm};
    sigemptyset(&action.sa_mask);
    exit_status = status;
    fflush(NULL); /* _exit does not */
    if (sigaction(SIGALRM, &action, NULL) == 0)
        alarm(sc_mpi.failed_rank >= 0 ? FAILED_SECONDS : SECONDS);
    MPI_Finalize();
    alarm(0);
}

/* A rank that failed has told the others before, and nobody goes to MPI_Finalize while a message is under way. */
void sc_mpi_leave(int status) {
    if (!sc_mpi.is_started)
        return;
    sc_mpi_stop_progress();
    sc_mpi_begin_call();
    sc_mpi.is_started = false;
    enum { BY_CTRL_C = 130 };
    char text[64];
    snprintf(text, sizeof text, status == BY_CTRL_C ? "interrupted" : "ended with exit status %d", status);
    if (status != 0)
        sc_mpi_report_failure(text, strlen(text), NULL);
    if (sc_mpi_notify(LEFT, "", 0, NULL) == SC_OK && drain(have_all_left) == SC_OK && drain(is_all_sent) == SC_OK &&
        MPI_Ibarrier(sc_mpi.comm, &meeting) == MPI_SUCCESS && drain(have_all_met) == SC_OK)
        drain(is_settled);
    if (sc_mpi.is_owner)
        finalize(status);
    sc_memory_free(sc_mpi.failed_text);
    sc_memory_free(sc_mpi.left);
    sc_mpi.may_thread = false;
    sc_mpi_end_call();
}

void sc_mpi_abort(int status) {
    MPI_Abort(MPI_COMM_WORLD, status);
    _exit(status);
}
