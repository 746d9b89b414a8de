/* Sending and receiving. A message is a header and its bytes; what is longer than a piece travels in several, each of
 * which MPI can count in an int. */
#include "mpi/state.h"

#include "base/clock.h"
#include "base/interrupt.h"
#include "base/memory.h"
#include "base/size.h"

#include <stdint.h>
#include <string.h>

/* Kinds from here on are texts, with their labels. */
enum { TEXT_KIND = 1 << 16 };

/* ---- sending ---- */

static void link_pending(sc_mpi_pending *pending) {
    sc_mpi_pending *list = &sc_mpi.list;
    pending->previous = list->previous;
    pending->next = list;
    list->previous->next = pending;
    list->previous = pending;
    sc_mpi.pending_count++;
    sc_mpi.pending_bytes += pending->bytes;
}

static void free_pending(sc_mpi_pending *pending) {
    pending->previous->next = pending->next;
    pending->next->previous = pending->previous;
    sc_mpi.pending_count--;
    sc_mpi.pending_bytes -= pending->bytes;
    sc_memory_free(pending->memory);
    sc_memory_free(pending);
}

/* Whether MPI has finished all pieces. */
static sc_status test_pending(sc_mpi_pending *pending, bool *done, sc_error *error) {
    *done = false;
    while (pending->count > 0) {
        int sent = 0;
        int code = MPI_Test(&pending->requests[pending->count - 1], &sent, MPI_STATUS_IGNORE);
        SC_TRY(sc_mpi_check(code, "MPI_Test", error));
        if (!sent)
            return SC_OK;
        pending->count--;
    }
    *done = true;
    return SC_OK;
}

sc_status sc_mpi_finish_sends(bool all, sc_error *error) {
    enum { A_FEW = 8 };
    sc_mpi_pending *next = sc_mpi.list.next;
    for (int looks = 0; next != &sc_mpi.list && (all || looks < A_FEW); looks++) {
        sc_mpi_pending *pending = next;
        next = pending->next;
        bool done;
        SC_TRY(test_pending(pending, &done, error));
        if (done) {
            free_pending(pending);
        } else if (!all && next != &sc_mpi.list) { /* to the end of the ring, so that others are looked at next time */
            pending->previous->next = next;
            next->previous = pending->previous;
            pending->previous = sc_mpi.list.previous;
            pending->next = &sc_mpi.list;
            sc_mpi.list.previous->next = pending;
            sc_mpi.list.previous = pending;
        }
    }
    return SC_OK;
}

/* An entry for so many requests, with memory for a header and the bytes. */
static sc_status make_pending(sc_mpi_pending **out, size_t requests, size_t size, sc_error *error) {
    size_t whole, bytes;
    void *made;
    if (requests > INT32_MAX || !sc_size_multiply(&whole, requests, sizeof(MPI_Request)) ||
        !sc_size_add(&whole, whole, sizeof(sc_mpi_pending)) || !sc_size_add(&bytes, size, sizeof(sc_mpi_header)))
        return sc_error_set(error, SC_ERROR_MEMORY, "message: too large");
    SC_TRY(sc_memory_calloc(&made, 1, whole, error));
    sc_mpi_pending *pending = made;
    pending->requests = (MPI_Request *)(pending + 1);
    sc_status status = sc_memory_alloc(&pending->memory, bytes, 1, error);
    if (status != SC_OK) {
        sc_memory_free(pending);
        return status;
    }
    pending->bytes = bytes;
    *out = pending;
    return SC_OK;
}

static sc_status post_piece(sc_mpi_pending *pending, const char *from, size_t size, int rank, int tag,
                            sc_error *error) {
    int code = MPI_Isend(from, (int)size, MPI_BYTE, rank, tag, sc_mpi.comm, &pending->requests[pending->count]);
    SC_TRY(sc_mpi_check(code, "MPI_Isend", error));
    pending->count++;
    return SC_OK;
}

static sc_status send_message(const int *ranks, size_t count, int tag, const sc_mpi_header *header, const void *bytes,
                              sc_error *error) {
    size_t size = header->size, glued = header->is_glued ? sc_min(size, sc_mpi.piece) : 0;
    size_t pieces = 1 + sc_divide_up(size - glued, sc_mpi.piece), requests;
    if (!sc_size_multiply(&requests, pieces, count))
        return sc_error_set(error, SC_ERROR_MEMORY, "message: too large");
    if (count == 0)
        return SC_OK;
    sc_mpi_pending *pending = NULL;
    SC_TRY(make_pending(&pending, requests, size, error));
    link_pending(pending);
    char *memory = pending->memory;
    memcpy(memory, header, sizeof *header);
    if (size > 0)
        memcpy(memory + sizeof *header, bytes, size);
    for (size_t i = 0; i < count; i++) {
        SC_TRY(post_piece(pending, memory, sizeof *header + glued, ranks[i], tag, error));
        for (size_t at = glued; at < size; at += sc_mpi.piece)
            SC_TRY(post_piece(pending, memory + sizeof *header + at, sc_min(size - at, sc_mpi.piece), ranks[i], tag,
                              error));
    }
    return sc_mpi_finish_sends(false, error);
}

sc_status sc_mpi_send(const int *ranks, size_t count, sc_mpi_channel channel, unsigned label, const void *bytes,
                      size_t size, sc_error *error) {
    sc_mpi_header header = {.size = size, .kind = TEXT_KIND + label, .is_glued = true};
    return send_message(ranks, count, (int)channel, &header, bytes, error);
}

sc_status sc_mpi_send_numbers(const int *ranks, size_t count, sc_mpi_channel channel, const sc_mpi_numbers *numbers,
                              sc_error *error) {
    sc_mpi_header header = {.size = numbers->size, .kind = numbers->kind, .is_glued = false};
    return send_message(ranks, count, (int)channel, &header, numbers->data, error);
}

void sc_mpi_count_pending(size_t *count, size_t *bytes) {
    sc_mpi_finish_sends(true, NULL);
    *count = sc_mpi.pending_count;
    *bytes = sc_mpi.pending_bytes;
}

/* ---- receiving ---- */

void sc_mpi_message_free(sc_mpi_message *message) {
    sc_memory_free(message->memory);
    *message = (sc_mpi_message){.source = SC_MPI_ANY};
}

/* Why a message from the source will not come, if it will not. */
static sc_status find_hindrance(int source, sc_error *error) {
    if (sc_mpi.failed_rank >= 0)
        return sc_error_set(error, SC_ERROR_IO, "rank %d: %s", sc_mpi.failed_rank, sc_mpi.failed_text);
    if (source != SC_MPI_ANY && sc_mpi.left[source])
        return sc_error_set(error, SC_ERROR_IO, "rank %d has ended", source);
    if (source == SC_MPI_ANY && sc_mpi.others == 0)
        return sc_error_set(error, SC_ERROR_IO, "all other ranks have ended");
    return SC_OK;
}

static sc_status probe(int source, int tag, int *found, MPI_Message *handle, MPI_Status *status, sc_error *error) {
    int from = source == SC_MPI_ANY ? MPI_ANY_SOURCE : source;
    return sc_mpi_check(MPI_Improbe(from, tag, sc_mpi.comm, found, handle, status), "MPI_Improbe", error);
}

/* Waits for a message to begin. What has come is taken before a failure is told: it was sent before. */
static sc_status await_message(int source, int tag, double seconds, int *found, MPI_Message *handle, MPI_Status *status,
                               sc_error *error) {
    sc_mpi_wait wait = sc_mpi_wait_begin();
    while (true) {
        SC_TRY(probe(source, tag, found, handle, status, error));
        if (*found)
            return SC_OK;
        SC_TRY(sc_mpi_read_notices(error));
        sc_status hindrance = find_hindrance(source, error);
        if (hindrance != SC_OK) {
            SC_TRY(probe(source, tag, found, handle, status, NULL));
            bool is_look = seconds == 0 && sc_mpi.failed_rank < 0; /* that nobody is left is an answer to it */
            return *found || is_look ? SC_OK : hindrance;
        }
        SC_TRY(sc_interrupt_check(error));
        if (seconds >= 0 && sc_mpi_wait_seconds(&wait) >= seconds)
            return SC_OK;
        SC_TRY(sc_mpi_finish_sends(false, error));
        sc_mpi_wait_pause(&wait);
    }
}

/* Waits until a piece is there that is on its way. Its sender has given it to MPI, so that only Ctrl-C ends this. */
static sc_status await_piece(MPI_Request *request, sc_error *error) {
    sc_mpi_wait wait = sc_mpi_wait_begin();
    while (true) {
        int done = 0;
        SC_TRY(sc_mpi_check(MPI_Test(request, &done, MPI_STATUS_IGNORE), "MPI_Test", error));
        if (done)
            return SC_OK;
        SC_TRY(sc_interrupt_check(error));
        SC_TRY(sc_mpi_finish_sends(false, error));
        sc_mpi_transfer_pause(&wait);
    }
}

static sc_status receive_first(MPI_Message *handle, void *memory, size_t size, sc_error *error) {
    MPI_Request request;
    int code = MPI_Imrecv(memory, (int)size, MPI_BYTE, handle, &request);
    SC_TRY(sc_mpi_check(code, "MPI_Imrecv", error));
    return await_piece(&request, error);
}

/* Receives size bytes that follow a message's first piece. */
static sc_status receive_pieces(char *to, size_t size, int source, int tag, sc_error *error) {
    for (size_t at = 0; at < size; at += sc_mpi.piece) {
        MPI_Request request;
        int piece = (int)sc_min(size - at, sc_mpi.piece);
        int code = MPI_Irecv(to + at, piece, MPI_BYTE, source, tag, sc_mpi.comm, &request);
        SC_TRY(sc_mpi_check(code, "MPI_Irecv", error));
        SC_TRY(await_piece(&request, error));
    }
    return SC_OK;
}

/* What a message that has begun turns out to be. */
typedef struct arrival {
    sc_mpi_header header;
    char *memory; /* the first piece, header and all */
    size_t glued; /* bytes of the message in it */
    int source;
} arrival;

/* Receives the first piece. Nothing is owned after a failure. */
static sc_status begin_arrival(arrival *out, MPI_Message *handle, const MPI_Status *status, sc_error *error) {
    int count = 0;
    void *memory;
    SC_TRY(sc_mpi_check(MPI_Get_count(status, MPI_BYTE, &count), "MPI_Get_count", error));
    if (count < (int)sizeof(sc_mpi_header))
        return sc_error_set(error, SC_ERROR_FORMAT, "a message of %d bytes is none of ours", count);
    SC_TRY(sc_memory_alloc(&memory, (size_t)count, 1, error));
    sc_status received = receive_first(handle, memory, (size_t)count, error);
    if (received != SC_OK)
        return received; /* the memory stays: MPI may still write to it */
    *out = (arrival){.memory = memory, .glued = (size_t)count - sizeof(sc_mpi_header), .source = status->MPI_SOURCE};
    memcpy(&out->header, memory, sizeof out->header);
    return SC_OK;
}

/* Takes the rest of a message that is not what was asked for, so that the next one can be had. */
static sc_status drop_rest(const arrival *what, int tag, sc_error *error) {
    size_t left = what->header.size - sc_min(what->header.size, what->glued);
    void *scratch;
    SC_TRY(sc_memory_alloc(&scratch, sc_min(left, sc_mpi.piece), 1, error));
    while (left > 0) {
        size_t piece = sc_min(left, sc_mpi.piece);
        SC_TRY(receive_pieces(scratch, piece, what->source, tag, error)); /* interrupted: MPI may still write there */
        left -= piece;
    }
    sc_memory_free(scratch);
    return SC_OK;
}

/* The rest of a text, into memory of its own where there is one. */
static sc_status end_text(arrival *what, int tag, sc_mpi_message *out, sc_error *error) {
    size_t size = what->header.size;
    if (size > what->glued) {
        void *memory;
        sc_status status = sc_memory_alloc(&memory, size, 1, error);
        if (status == SC_OK) {
            memcpy(memory, what->memory + sizeof(sc_mpi_header), what->glued);
            sc_memory_free(what->memory);
            what->memory = NULL;
            SC_TRY(receive_pieces((char *)memory + what->glued, size - what->glued, what->source, tag, error));
            *out = (sc_mpi_message){.memory = memory, .bytes = memory, .size = size, .source = what->source};
        } else {
            sc_memory_free(what->memory);
        }
        return status;
    }
    *out = (sc_mpi_message){
        .memory = what->memory, .bytes = what->memory + sizeof(sc_mpi_header), .size = size, .source = what->source};
    return SC_OK;
}

sc_status sc_mpi_receive(int source, sc_mpi_channel channel, double seconds, sc_mpi_message *out, sc_error *error) {
    int found = 0;
    MPI_Message handle;
    MPI_Status status;
    arrival what;
    *out = (sc_mpi_message){.source = SC_MPI_ANY};
    SC_TRY(await_message(source, (int)channel, seconds, &found, &handle, &status, error));
    if (!found)
        return SC_OK;
    SC_TRY(begin_arrival(&what, &handle, &status, error));
    if (what.header.kind < TEXT_KIND) {
        sc_memory_free(what.memory);
        SC_TRY(drop_rest(&what, (int)channel, error));
        return sc_error_set(error, SC_ERROR_FORMAT, "rank %d sent a tensor, expected a text", status.MPI_SOURCE);
    }
    SC_TRY(end_text(&what, (int)channel, out, error));
    out->label = what.header.kind - TEXT_KIND;
    return SC_OK;
}

sc_status sc_mpi_receive_numbers(int source, sc_mpi_channel channel, const sc_mpi_numbers *numbers, bool *is_used,
                                 sc_error *error) {
    int found = 0;
    MPI_Message handle;
    MPI_Status status;
    arrival what;
    *is_used = false;
    SC_TRY(await_message(source, (int)channel, -1, &found, &handle, &status, error));
    SC_TRY(begin_arrival(&what, &handle, &status, error));
    sc_memory_free(what.memory);
    bool fits = what.header.kind == numbers->kind && what.header.size == numbers->size;
    if (!fits)
        SC_TRY(drop_rest(&what, (int)channel, error));
    if (what.header.kind >= TEXT_KIND)
        return sc_error_set(error, SC_ERROR_FORMAT, "rank %d sent a text, expected a tensor", source);
    if (!fits)
        return sc_error_set(error, SC_ERROR_FORMAT,
                            "rank %d sent a tensor of %llu bytes, expected one of %zu and of the same type", source,
                            (unsigned long long)what.header.size, numbers->size);
    sc_status received = receive_pieces(numbers->data, numbers->size, source, (int)channel, error);
    *is_used = received != SC_OK;
    return received;
}

/* Takes all messages with a tag that have begun: notices are read, the others dropped. */
static sc_status take_messages(int tag, sc_error *error) {
    while (true) {
        int found = 0, count = 0;
        MPI_Message handle;
        MPI_Status status;
        void *memory;
        SC_TRY(probe(SC_MPI_ANY, tag, &found, &handle, &status, error));
        if (!found)
            return SC_OK;
        SC_TRY(sc_mpi_check(MPI_Get_count(&status, MPI_BYTE, &count), "MPI_Get_count", error));
        SC_TRY(sc_memory_alloc(&memory, (size_t)count, 1, error));
        sc_status taken =
            sc_mpi_check(MPI_Mrecv(memory, count, MPI_BYTE, &handle, MPI_STATUS_IGNORE), "MPI_Mrecv", error);
        if (taken == SC_OK && status.MPI_TAG == SC_MPI_NOTICE)
            taken = sc_mpi_note(status.MPI_SOURCE, memory, (size_t)count, error);
        sc_memory_free(memory);
        SC_TRY(taken);
    }
}

sc_status sc_mpi_drop_messages(sc_error *error) {
    return take_messages(MPI_ANY_TAG, error);
}

sc_status sc_mpi_read_notices(sc_error *error) {
    return take_messages(SC_MPI_NOTICE, error);
}

/* A notice is short: it never waits for its receiver, and is one piece without a header. */
sc_status sc_mpi_notify(char what, const char *text, size_t size, sc_error *error) {
    enum { MOST = 1000 };
    size_t taken = sc_min(size, MOST);
    for (int rank = 0; rank < sc_mpi.place.size; rank++) {
        if (rank == sc_mpi.place.rank)
            continue;
        sc_mpi_pending *pending = NULL;
        SC_TRY(make_pending(&pending, 1, taken, error));
        link_pending(pending);
        char *memory = pending->memory;
        memory[0] = what;
        memcpy(memory + 1, text, taken);
        SC_TRY(post_piece(pending, memory, taken + 1, rank, SC_MPI_NOTICE, error));
    }
    return SC_OK;
}
