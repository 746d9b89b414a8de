/* Zip archives, read: stored and deflated entries, zip64. What an archive claims is checked before it is believed. */
#ifndef SC_IO_ZIP_H
#define SC_IO_ZIP_H

#include "base/file.h"

#include <stdbool.h>

enum {
    SC_ZIP_STORED = 0, /* methods */
    SC_ZIP_DEFLATED = 8,
    SC_ZIP_ENCRYPTED = 1 << 0 | 1 << 6 | 1 << 13, /* flags of the three kinds of encryption */
};

typedef struct sc_zip_entry {
    const char *name; /* in the archive's directory; not zero-terminated */
    size_t name_length;
    uint64_t offset;     /* of its local header */
    uint64_t limit;      /* where the next entry or the directory begins */
    uint64_t compressed; /* bytes stored */
    uint64_t size;       /* bytes they stand for */
    uint32_t crc;
    uint16_t method;
    uint16_t flags;
} sc_zip_entry;

/* Zeroed = closed. */
typedef struct sc_zip {
    sc_file file;
    unsigned char *directory; /* owned */
    sc_zip_entry *entries;    /* owned; in the order of the directory */
    sc_zip_entry **sorted;    /* owned; the same by name */
    size_t count;
} sc_zip;

/* Opens an archive and reads its directory. Refused: entries that overlap, repeat a name or lie outside, several
 * disks. */
sc_status sc_zip_open(sc_zip *out, const char *path, sc_error *error);

/* Reads the directory of zip->file, which is open, with the same checks; all else in *zip is zeroed. On failure it may
 * be half loaded. */
sc_status sc_zip_load(sc_zip *zip, sc_error *error);

/* Frees the directory, and leaves the file open. */
void sc_zip_unload(sc_zip *zip);

/* Whether the entry's bytes are stored as they are, neither compressed nor encrypted. */
bool sc_zip_is_plain(const sc_zip_entry *entry);

/* The entry of that name, or NULL. */
const sc_zip_entry *sc_zip_find(const sc_zip *zip, const char *name, size_t length);

/* Where the entry's stored bytes begin. Refused: a local header that does not match the directory. */
sc_status sc_zip_locate(uint64_t *offset, const sc_zip *zip, const sc_zip_entry *entry, sc_error *error);

/* Nothing happens when it is closed. */
void sc_zip_close(sc_zip *zip);

#endif
