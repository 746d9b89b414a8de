/* JPEG 2000 inside DICOM files, by OpenJPEG: DCMTK has no decoder for it. */
#ifndef SC_CODEC_JPEG2000_H
#define SC_CODEC_JPEG2000_H

#include "image/dicom.h"

/* Decodes one code stream into rows x columns x samples samples of info->bits_allocated bits, interleaved, in the
 * machine's byte order. How many bits are stored is the stream's to say, where the header says otherwise: info gets it.
 * Their sign is the header's. SC_ERROR_FORMAT where the stream is damaged, or not of the size or number of samples that
 * info says. */
sc_status sc_jpeg2000_decode(void *out, const unsigned char *stream, size_t length, sc_dicom_info *info,
                             sc_error *error);

#endif
