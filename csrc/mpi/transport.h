/* Messages between the processes ("ranks") that an MPI launcher started, for lua/mpi.c: texts and tensors of any size,
 * sent without waiting, received in waits that hear Ctrl-C, sleep, and end when a rank that they need is gone.
 *
 * MPI is a matter of the whole process, and so is this: there is one transport, begun by sc_mpi_start and ended when
 * the process exits. All calls come from one thread, inside an interrupt scope (base/interrupt.h). */
#ifndef SC_MPI_TRANSPORT_H
#define SC_MPI_TRANSPORT_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Messages of one channel never meet those of another; between two ranks each channel keeps their order. */
typedef enum sc_mpi_channel {
    SC_MPI_TEXT = 1,   /* send and receive */
    SC_MPI_TENSOR,     /* send_tensor and receive_tensor */
    SC_MPI_COLLECTIVE, /* broadcasts, gathers, barriers */
    SC_MPI_CHANNELS,   /* how many */
} sc_mpi_channel;

/* Any rank, as a source. */
enum { SC_MPI_ANY = -1 };

/* What is known of this process among the others. */
typedef struct sc_mpi_place {
    int rank, size;   /* rank from 0 */
    int local_size;   /* ranks that share this one's memory */
    int core_count;   /* cores that this rank may use */
    double cores;     /* the same, but that one which n ranks may use counts 1/n */
    bool is_bound;    /* whether the ranks of this machine may use different cores */
    const char *host; /* lives as long as the process */
} sc_mpi_place;

/* A message that was received; bytes lie inside memory, which sc_mpi_message_free gives back. */
typedef struct sc_mpi_message {
    void *memory;
    const char *bytes;
    size_t size;
    int source;     /* whose; SC_MPI_ANY while there is none */
    unsigned label; /* that its sender gave it */
} sc_mpi_message;

/* Where a tensor's numbers are, or go to. */
typedef struct sc_mpi_numbers {
    void *data;
    size_t size;   /* in bytes */
    uint32_t kind; /* of element; both sides must mean the same */
} sc_mpi_numbers;

/* The MPI library's own text on its version; may be called before sc_mpi_start. */
void sc_mpi_library(char *text, size_t size);

/* Around every call of the others below: between them nothing else is inside MPI. */
void sc_mpi_begin_call(void);
void sc_mpi_end_call(void);

/* Begins MPI, unless it has begun, and finds this process's place. When the process exits, it tells the others, and
 * waits until all have ended before MPI does. SIGTERM, by which launchers end processes, becomes SIGINT. */
sc_status sc_mpi_start(sc_error *error);

/* The place of this process. Only after sc_mpi_start. */
const sc_mpi_place *sc_mpi_find_place(void);

/* Sends a copy of the bytes to each of the ranks, and does not wait for them. The label is the receiver's to look at.
 */
sc_status sc_mpi_send(const int *ranks, size_t count, sc_mpi_channel channel, unsigned label, const void *bytes,
                      size_t size, sc_error *error);

/* Waits for a message of the channel from a rank, or from any, for at most so many seconds (negative: for ever);
 * out->source is SC_MPI_ANY when none came. */
sc_status sc_mpi_receive(int source, sc_mpi_channel channel, double seconds, sc_mpi_message *out, sc_error *error);

/* Frees what sc_mpi_receive gave; may be called again. */
void sc_mpi_message_free(sc_mpi_message *message);

/* Sends a copy of a tensor's numbers to each of the ranks, and does not wait for them. */
sc_status sc_mpi_send_numbers(const int *ranks, size_t count, sc_mpi_channel channel, const sc_mpi_numbers *numbers,
                              sc_error *error);

/* Receives a tensor's numbers in place. *is_used says, also after a failure, whether MPI may still write there: then
 * the memory must stay until the process ends. */
sc_status sc_mpi_receive_numbers(int source, sc_mpi_channel channel, const sc_mpi_numbers *numbers, bool *is_used,
                                 sc_error *error);

/* Tells all others that this rank has failed, and why: every wait of theirs ends with this text. */
sc_status sc_mpi_report_failure(const char *text, size_t size, sc_error *error);

/* The rank that failed first, as far as is known here, and its text; -1 when none has. Waits for so many seconds at
 * most that one does. */
int sc_mpi_find_failure(double seconds, const char **text);

/* Messages that were sent and not yet received, and their bytes. */
void sc_mpi_count_pending(size_t *count, size_t *bytes);

/* Ends all ranks at once. Does not return. */
void sc_mpi_abort(int status);

/* The largest piece in which messages travel, in bytes; for tests, which have no gigabytes. */
void sc_mpi_set_piece(size_t bytes);

#endif
