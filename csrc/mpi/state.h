/* What the files of this room share: the one transport of the process. */
#ifndef SC_MPI_STATE_H
#define SC_MPI_STATE_H

#include "mpi/transport.h"

#include <mpi.h>

/* What stands before every message: MPI knows the size of a piece, not of the whole. */
typedef struct sc_mpi_header {
    uint64_t size;     /* of the whole, in bytes, without this */
    uint32_t kind;     /* of element, or TEXT_KIND and a label (message.c) */
    uint32_t is_glued; /* whether the first bytes of the message follow in the same piece */
} sc_mpi_header;

/* Sends that MPI has not finished: the memory that they read, and a request for each piece and rank. */
typedef struct sc_mpi_pending {
    struct sc_mpi_pending *previous, *next;
    void *memory;
    size_t bytes;
    int count;             /* of requests that are not done */
    MPI_Request *requests; /* behind this struct */
} sc_mpi_pending;

/* The transport of this process. */
typedef struct sc_mpi_state {
    bool is_started;
    bool is_owner;   /* of MPI itself: it had not begun before */
    bool may_thread; /* MPI may be called from several threads, one at a time */
    MPI_Comm comm;
    sc_mpi_place place;
    char host[MPI_MAX_PROCESSOR_NAME];
    bool *left;          /* per rank: it has said that it ends */
    int others;          /* ranks that have not, but for this one */
    int failed_rank;     /* the first that failed, or -1 */
    char *failed_text;   /* its text */
    sc_mpi_pending list; /* a ring; `list` itself is no entry */
    size_t pending_count, pending_bytes;
    size_t piece;
} sc_mpi_state;

extern sc_mpi_state sc_mpi;

/* The tag of notices, beside the channels. */
enum { SC_MPI_NOTICE = SC_MPI_CHANNELS };

/* How long something has been waited for. */
typedef struct sc_mpi_wait {
    double began;
} sc_mpi_wait;

/* Begins to wait. */
sc_mpi_wait sc_mpi_wait_begin(void);

/* The seconds since then. */
double sc_mpi_wait_seconds(const sc_mpi_wait *wait);

/* Lets some time go by: none at first, then an eighth of what was waited already, 5 ms at most. */
void sc_mpi_wait_pause(const sc_mpi_wait *wait);

/* The same while bytes are under way: a large message moves on by some fragments (128 KB of Open MPI's in shared
 * memory) with each look at either end, so that long pauses would be its speed. */
#define SC_MPI_TRANSFER_PAUSE 100e-6
void sc_mpi_transfer_pause(const sc_mpi_wait *wait);

/* SC_OK, or an error with MPI's own text. */
sc_status sc_mpi_check(int code, const char *function, sc_error *error);

/* Frees sends that are done: a few of them, or as many as there are. */
sc_status sc_mpi_finish_sends(bool all, sc_error *error);

/* Reads the notices that have come. */
sc_status sc_mpi_read_notices(sc_error *error);

/* Notes a notice of a rank. */
sc_status sc_mpi_note(int rank, const char *bytes, size_t size, sc_error *error);

/* Sends a notice to all others: that this rank has failed, or that it ends. */
sc_status sc_mpi_notify(char what, const char *text, size_t size, sc_error *error);

/* Receives what was probed, whatever it is, and drops it, but for notices. */
sc_status sc_mpi_drop_messages(sc_error *error);

/* Sleeps outside MPI, so that others may call it meanwhile. */
void sc_mpi_sleep(double seconds);

/* Ends the thread that goes on with sends. Outside sc_mpi_begin_call and sc_mpi_end_call. */
void sc_mpi_stop_progress(void);

/* Ends MPI when all ranks have come here. */
void sc_mpi_leave(int status);

/* Fills cores, is_bound and local_size of the place. */
sc_status sc_mpi_find_cores(sc_mpi_place *place, sc_error *error);

#endif
