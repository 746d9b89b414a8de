/* DICOM: from stored values to grey levels, as PS3.3 defines it. Parsing and decompression are the reader's, a module
 * of its own (csrc/codec/dicom.cc, by DCMTK); the arithmetic is here, so that it is the same whoever reads.
 *
 * A stored value v has BitsStored bits, of which HighBit is the highest, signed where PixelRepresentation is 1 (PS3.5
 * 8.1.1). The modality transformation gives x = v * RescaleSlope + RescaleIntercept, or a look-up table's entry (PS3.3
 * C.11.1). The window with centre c and width w gives y in 0..1 (PS3.3 C.11.2.1.2):
 *   LINEAR        y = clamp((x - (c - 0.5)) / (w - 1) + 0.5): 0 for x <= c - 0.5 - (w - 1) / 2, 1 above the other end
 *   LINEAR_EXACT  y = clamp((x - c) / w + 0.5)
 *   SIGMOID       y = 1 / (1 + exp(-4 (x - c) / w))
 * A VOI look-up table gives y as its entry over its largest possible one; no window at all gives (x - a) / (b - a), a
 * and b the least and the largest x that values of BitsStored bits can have. MONOCHROME1 is 1 - y (PS3.3 C.7.6.3.1.2).
 * Grey is stored as round(65535 y), or, where 8 bits are stored and no window or table applies, as the 8 bits
 * themselves. */
#ifndef SC_IMAGE_DICOM_H
#define SC_IMAGE_DICOM_H

#include "image/codec.h"
#include "image/pixels.h"

#include <stdint.h>

/* A look-up table: entry i belongs to the value first + i; values outside get the nearest end. */
typedef struct sc_dicom_lut {
    const uint16_t *data; /* NULL: none */
    size_t words;         /* of data; half of count where two entries of 8 bits share one */
    size_t count;
    int32_t first;
    unsigned bits; /* of an entry */
} sc_dicom_lut;

/* PS3.3 C.7.6.3.1.2; the others are refused by name. */
typedef enum sc_dicom_photometric {
    SC_DICOM_OTHER,
    SC_DICOM_MONOCHROME1,
    SC_DICOM_MONOCHROME2,
    SC_DICOM_PALETTE,
    SC_DICOM_RGB,
    SC_DICOM_YBR_FULL,
    SC_DICOM_YBR_FULL_422,
} sc_dicom_photometric;

/* What the header says of the pixels, and whose they are. Pointers are into the file, until it is closed. */
typedef struct sc_dicom_info {
    size_t rows, columns;
    size_t frames;  /* 1 where it is not said */
    size_t samples; /* per pixel */
    unsigned bits_allocated, bits_stored, high_bit;
    bool is_signed, is_planar;
    sc_dicom_photometric photometric;
    char photometric_name[20];
    double slope, intercept; /* 1 and 0 where they are not said */
    bool has_window;
    double centre, width;     /* the first window */
    char window_function[20]; /* LINEAR where it is not said */
    sc_dicom_lut modality, voi, palette[3];
    const char *patient, *study,
        *series; /* PatientID, StudyInstanceUID, SeriesInstanceUID; NULL where absent or empty */
} sc_dicom_info;

/* A parsed file. */
typedef struct sc_dicom_file sc_dicom_file;

/* What the module exports under the name sc_codec_table. */
typedef struct sc_dicom_reader {
    size_t version; /* SC_CODEC_VERSION; always the first member */
    /* Parses the bytes, without the pixels where they are not asked for, and fills info. */
    sc_status (*open)(sc_dicom_file **out, sc_dicom_info *info, const sc_codec_input *input, bool with_pixels,
                      sc_error *error);
    /* The pixels, decompressed, in the machine's byte order: *bytes bytes, in samples of info->bits_allocated bits.
     * Fills info anew, since decompression changes how colours are stored. They live as long as the file. */
    sc_status (*pixels)(sc_dicom_file *file, sc_dicom_info *info, const void **data, size_t *bytes, sc_error *error);
    /* Frees everything. NULL is allowed. */
    void (*close)(sc_dicom_file *file);
} sc_dicom_reader;

/* Fills width, height, channels and bits. SC_ERROR_FORMAT with the reason where the file holds no single frame that can
 * be read: several frames, no pixels, bits or colours of another kind. */
sc_status sc_dicom_read_header(sc_image_header *out, const sc_image_bytes *bytes, sc_error *error);

/* The picture of this header. The window is what the caller wants, or SC_WINDOW_FILE. */
sc_status sc_dicom_decode(sc_pixels *out, const sc_image_header *header, const sc_image_bytes *bytes,
                          const sc_decode_options *options, sc_error *error);

/* Texts of at most 64 characters (PS3.5 6.2), or empty. */
typedef struct sc_dicom_identifiers {
    char patient[65], study[65], series[65];
} sc_dicom_identifiers;

/* Who and what a file belongs to. SC_ERROR_FORMAT where it is no DICOM file. The path stands in front of messages. */
sc_status sc_dicom_identifiers_load(sc_dicom_identifiers *out, const char *path, sc_error *error);

#endif
