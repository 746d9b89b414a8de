/* The contents of one entry of a zip archive, inflated as they are read. */
#ifndef SC_IO_ZIP_STREAM_H
#define SC_IO_ZIP_STREAM_H

#include "io/byte_stream.h"
#include "io/zip.h"

#include <stdbool.h>
#include <zlib.h>

enum { SC_ZIP_BUFFER = 1 << 15 };

/* An entry while it is read. It must stay where it was opened: zlib keeps a pointer to it. */
typedef struct sc_zip_stream {
    sc_byte_stream base;
    const sc_zip *zip;
    const sc_zip_entry *entry;
    uint64_t offset;      /* of the next stored byte */
    uint64_t stored_left; /* stored bytes not yet read */
    z_stream inflater;
    bool ended; /* the deflated data said so */
    uint32_t crc;
    unsigned char buffer[SC_ZIP_BUFFER];
} sc_zip_stream;

/* Starts reading an entry. Refused: encryption, methods other than stored and deflate, sizes that deflate cannot
 * reach. */
sc_status sc_zip_stream_open(sc_zip_stream *out, const sc_zip *zip, const sc_zip_entry *entry, sc_error *error);

/* After the last byte was read: whether the checksum holds and nothing is left over. */
sc_status sc_zip_stream_check(sc_zip_stream *stream, sc_error *error);

/* Ends a stream that was opened. */
void sc_zip_stream_close(sc_zip_stream *stream);

#endif
