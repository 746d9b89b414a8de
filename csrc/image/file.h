/* Opening and reading the regular files that images are. */
#ifndef SC_IMAGE_FILE_H
#define SC_IMAGE_FILE_H

#include "base/status.h"

#include <stddef.h>
#include <stdio.h>

/* Opens for reading; *length (when asked for) is its size. Refuses what is not a regular file, so that a directory or a
 * pipe can neither confuse nor block. Messages begin with the path. */
sc_status sc_image_file_open(FILE **out, size_t *length, const char *path, sc_error *error);

/* All bytes; sc_memory_free gives them back. Refuses files of more than limit bytes. */
sc_status sc_image_file_read(unsigned char **out, size_t *length, const char *path, size_t limit, sc_error *error);

#endif
