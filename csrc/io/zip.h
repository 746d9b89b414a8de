/* Zip archives, read: stored and deflated entries, zip64. What an archive claims is checked before it is believed. */
#ifndef SC_IO_ZIP_H
#define SC_IO_ZIP_H

#include "io/file.h"

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
    size_t count;
} sc_zip;

/* Opens an archive and reads its directory. Refused: entries that overlap, repeat a name or lie outside, several
 * disks. */
sc_status sc_zip_open(sc_zip *out, const char *path, sc_error *error);

/* Nothing happens when it is closed. */
void sc_zip_close(sc_zip *zip);

#endif
