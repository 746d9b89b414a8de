#include "io/zip_stream.h"

#include "base/interrupt.h"
#include "io/file_stream.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    MAX_RATIO = 1032, /* the most that deflate can reach */
    CHUNK = 1 << 24,  /* the most that zlib is given between two looks for Ctrl-C */
};

static sc_status read_stored(sc_zip_stream *stream, void *out, size_t length, sc_error *error) {
    bool summed = stream->entry->method == SC_ZIP_STORED;
    SC_TRY(sc_file_read_parallel(&stream->zip->file, stream->offset, out, length, summed ? &stream->crc : NULL, error));
    stream->offset += length;
    stream->stored_left -= length;
    return SC_OK;
}

/* Gives zlib more stored bytes when it has used up what it had. */
static sc_status refill(sc_zip_stream *stream, sc_error *error) {
    if (stream->inflater.avail_in > 0 || stream->stored_left == 0)
        return SC_OK;
    size_t length = stream->stored_left < SC_ZIP_BUFFER ? (size_t)stream->stored_left : SC_ZIP_BUFFER;
    SC_TRY(read_stored(stream, stream->buffer, length, error));
    stream->inflater.next_in = stream->buffer;
    stream->inflater.avail_in = (uInt)length;
    return SC_OK;
}

/* Inflates up to length bytes (at most CHUNK); *got is fewer only where the data end. */
static sc_status inflate_some(sc_zip_stream *stream, unsigned char *out, size_t length, size_t *got, sc_error *error) {
    z_stream *inflater = &stream->inflater;
    inflater->next_out = out;
    inflater->avail_out = (uInt)length;
    while (inflater->avail_out > 0 && !stream->ended) {
        SC_TRY(refill(stream, error));
        int code = inflate(inflater, Z_NO_FLUSH);
        if (code == Z_STREAM_END)
            stream->ended = true;
        else if (code == Z_MEM_ERROR)
            return sc_error_set(error, SC_ERROR_MEMORY, "%s: not enough memory to inflate it", stream->base.label);
        else if (code == Z_BUF_ERROR)
            return sc_byte_stream_fail(&stream->base, error, "deflate data cut short");
        else if (code != Z_OK)
            return sc_byte_stream_fail(&stream->base, error, "corrupt deflate data");
    }
    *got = length - inflater->avail_out;
    return SC_OK;
}

static sc_status read_entry(sc_byte_stream *self, void *out, size_t length, sc_error *error) {
    sc_zip_stream *stream = (sc_zip_stream *)self; /* base is its first member */
    unsigned char *next = out;
    if (stream->entry->method == SC_ZIP_STORED)
        return read_stored(stream, out, length, error);
    while (length > 0) {
        size_t chunk = length < CHUNK ? length : CHUNK, got = chunk;
        SC_TRY(sc_interrupt_check(error));
        SC_TRY(inflate_some(stream, next, chunk, &got, error));
        if (got < chunk)
            return sc_byte_stream_fail(self, error, "deflate data end before the declared size");
        stream->crc = (uint32_t)crc32_z(stream->crc, next, chunk);
        next += chunk;
        length -= chunk;
    }
    return SC_OK;
}

sc_status sc_zip_stream_open(sc_zip_stream *out, const sc_zip *zip, const sc_zip_entry *entry, sc_error *error) {
    memset(out, 0, offsetof(sc_zip_stream, buffer));
    out->base.read = read_entry;
    out->base.left = entry->size;
    out->zip = zip;
    out->entry = entry;
    out->crc = (uint32_t)crc32_z(0, NULL, 0);
    snprintf(out->base.label, sizeof out->base.label, "'%.200s': entry '%.*s'", zip->file.path,
             entry->name_length < 200 ? (int)entry->name_length : 200, entry->name);
    if (entry->flags & SC_ZIP_ENCRYPTED)
        return sc_byte_stream_fail(&out->base, error, "it is encrypted");
    if (entry->method != SC_ZIP_STORED && entry->method != SC_ZIP_DEFLATED)
        return sc_byte_stream_fail(&out->base, error, "expected it stored or deflated, got compression method %d",
                                   entry->method);
    if (entry->method == SC_ZIP_STORED ? entry->size != entry->compressed : entry->size / MAX_RATIO > entry->compressed)
        return sc_byte_stream_fail(&out->base, error, "implausible size: %" PRIu64 " bytes stored for %" PRIu64,
                                   entry->compressed, entry->size);
    SC_TRY(sc_zip_locate(&out->offset, zip, entry, error));
    out->stored_left = entry->compressed;
    if (entry->method == SC_ZIP_DEFLATED && inflateInit2(&out->inflater, -MAX_WBITS) != Z_OK)
        return sc_error_set(error, SC_ERROR_MEMORY, "%s: not enough memory to inflate it", out->base.label);
    return SC_OK;
}

sc_status sc_zip_stream_check(sc_zip_stream *stream, sc_error *error) {
    unsigned char extra;
    size_t more = 0;
    if (stream->entry->method == SC_ZIP_DEFLATED)
        SC_TRY(inflate_some(stream, &extra, 1, &more, error));
    if (stream->base.left > 0 || more > 0 || stream->stored_left > 0 || stream->inflater.avail_in > 0)
        return sc_byte_stream_fail(&stream->base, error, "data do not end at the declared size");
    if (stream->crc != stream->entry->crc)
        return sc_byte_stream_fail(&stream->base, error,
                                   "its checksum is wrong: expected %08" PRIx32 ", got %08" PRIx32, stream->entry->crc,
                                   stream->crc);
    return SC_OK;
}

void sc_zip_stream_close(sc_zip_stream *stream) {
    if (stream->entry && stream->entry->method == SC_ZIP_DEFLATED)
        inflateEnd(&stream->inflater);
    stream->entry = NULL;
}
