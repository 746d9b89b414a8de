/* The module secateur/tiff.so: TIFF files of one page, by libtiff, with every compression that it was built with. Grey
 * of 1, 2, 4, 8 and 16 bits, palettes, and RGB of 8 and 16 bits, in strips or tiles, planes together or apart. */
#include "base/size.h"
#include "image/codec.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <tiffio.h>

/* An open file: where libtiff reads from, and the first thing that it complained of. */
typedef struct tiff_file {
    const sc_codec_input *input;
    size_t at;
    TIFF *tiff;
    char reason[256];
} tiff_file;

/* A page and its smaller copies are some ten; files of many pages are told how many they are, up to this. */
enum { MAX_DIRECTORIES = 4096 };

/* What the first directory says. */
typedef struct tiff_layout {
    uint32_t width, height, tile_width, tile_height;
    uint16_t bits, samples, format, photometric, planar, compression;
    bool tiled, is_apart; /* planes one after the other */
    const uint16_t *red, *green, *blue;
    unsigned palette_shift;
} tiff_layout;

static tmsize_t read_bytes(thandle_t handle, void *to, tmsize_t count) {
    tiff_file *file = (tiff_file *)handle;
    size_t got = count > 0 ? file->input->read(file->input->bytes, file->at, to, (size_t)count) : 0;
    file->at += got;
    return (tmsize_t)got;
}

static tmsize_t write_bytes(thandle_t handle, void *from, tmsize_t count) {
    (void)handle, (void)from, (void)count;
    return -1;
}

static toff_t seek_bytes(thandle_t handle, toff_t offset, int whence) {
    tiff_file *file = (tiff_file *)handle;
    file->at = (size_t)(whence == SEEK_SET ? offset : offset + (whence == SEEK_CUR ? file->at : file->input->length));
    return (toff_t)file->at;
}

static int close_nothing(thandle_t handle) {
    (void)handle;
    return 0;
}

static toff_t size_of_file(thandle_t handle) {
    return (toff_t)((tiff_file *)handle)->input->length;
}

#if TIFFLIB_VERSION >= 20221213 /* 4.5: handlers by file */
static int keep_reason(TIFF *tiff, void *context, const char *module, const char *format, va_list arguments) {
    tiff_file *file = context;
    (void)tiff, (void)module;
    if (!file->reason[0])
        vsnprintf(file->reason, sizeof file->reason, format, arguments);
    return 1; /* not passed on to the handlers of the process */
}

static int ignore_warning(TIFF *tiff, void *context, const char *module, const char *format, va_list arguments) {
    (void)tiff, (void)context, (void)module, (void)format, (void)arguments;
    return 1;
}

static TIFF *open_stream(tiff_file *file) {
    TIFFOpenOptions *options = TIFFOpenOptionsAlloc();
    if (!options)
        return NULL;
    TIFFOpenOptionsSetErrorHandlerExtR(options, keep_reason, file);
    TIFFOpenOptionsSetWarningHandlerExtR(options, ignore_warning, file);
    TIFFOpenOptionsSetMaxSingleMemAlloc(options, (tmsize_t)1 << 30);
    TIFF *tiff = TIFFClientOpenExt("", "rm", (thandle_t)file, read_bytes, write_bytes, seek_bytes, close_nothing,
                                   size_of_file, NULL, NULL, options);
    TIFFOpenOptionsFree(options);
    return tiff;
}
#else /* earlier ones only know handlers of the process: nothing is printed, and no reason kept */
static TIFF *open_stream(tiff_file *file) {
    TIFFSetErrorHandler(NULL);
    TIFFSetWarningHandler(NULL);
    return TIFFClientOpen("", "rm", (thandle_t)file, read_bytes, write_bytes, seek_bytes, close_nothing, size_of_file,
                          NULL, NULL);
}
#endif

static sc_status damaged(const tiff_file *file, sc_error *error) {
    return sc_error_set(error, SC_ERROR_FORMAT, "a damaged TIFF file: %s",
                        file->reason[0] ? file->reason : "its data are corrupt");
}

static sc_status unsupported(const char *what, unsigned got, sc_error *error) {
    return sc_error_set(error, SC_ERROR_FORMAT, "TIFF: %s, got %u", what, got);
}

static sc_status check_colours(const tiff_layout *layout, sc_error *error) {
    uint16_t bits = layout->bits;
    if (layout->format == SAMPLEFORMAT_IEEEFP)
        return sc_error_set(error, SC_ERROR_FORMAT,
                            "TIFF: %u-bit floating-point samples; 8 or 16 bit without sign are read", bits);
    if (layout->format != SAMPLEFORMAT_UINT && layout->format != SAMPLEFORMAT_VOID)
        return unsupported("SampleFormat: expected 1 (no sign)", layout->format, error);
    switch (layout->photometric) {
    case PHOTOMETRIC_MINISWHITE:
    case PHOTOMETRIC_MINISBLACK:
        if (bits != 1 && bits != 2 && bits != 4 && bits != 8 && bits != 16)
            return unsupported("BitsPerSample: expected 1, 2, 4, 8 or 16 of grey", bits, error);
        return SC_OK;
    case PHOTOMETRIC_PALETTE:
        if (bits != 1 && bits != 2 && bits != 4 && bits != 8)
            return unsupported("BitsPerSample: expected 1, 2, 4 or 8 of a palette", bits, error);
        return SC_OK;
    case PHOTOMETRIC_RGB:
        if (bits != 8 && bits != 16)
            return unsupported("BitsPerSample: expected 8 or 16 of RGB", bits, error);
        return layout->samples >= 3 ? SC_OK : unsupported("SamplesPerPixel: expected 3 of RGB", layout->samples, error);
    default:
        return unsupported(
            "PhotometricInterpretation: expected grey (0, 1), RGB (2), palette (3), or YCbCr (6) in JPEG",
            layout->photometric, error);
    }
}

static sc_status read_palette(tiff_layout *layout, tiff_file *file, sc_error *error) {
    uint16_t *red, *green, *blue;
    if (!TIFFGetField(file->tiff, TIFFTAG_COLORMAP, &red, &green, &blue))
        return sc_error_set(error, SC_ERROR_FORMAT, "a damaged TIFF file: a palette without colours");
    layout->red = red, layout->green = green, layout->blue = blue;
    for (size_t i = 0; i < (size_t)1 << layout->bits; i++) /* old files fill 8 of the 16 bits */
        if (red[i] > 255 || green[i] > 255 || blue[i] > 255)
            layout->palette_shift = 8;
    return SC_OK;
}

static sc_status read_layout(tiff_layout *out, tiff_file *file, sc_error *error) {
    TIFF *tiff = file->tiff;
    *out = (tiff_layout){.photometric = UINT16_MAX};
    TIFFGetField(tiff, TIFFTAG_IMAGEWIDTH, &out->width);
    TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &out->height);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_BITSPERSAMPLE, &out->bits);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLESPERPIXEL, &out->samples);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLEFORMAT, &out->format);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_PLANARCONFIG, &out->planar);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_COMPRESSION, &out->compression);
    TIFFGetField(tiff, TIFFTAG_PHOTOMETRIC, &out->photometric);
    if (out->photometric == PHOTOMETRIC_YCBCR && out->compression == COMPRESSION_JPEG &&
        TIFFSetField(tiff, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB)) /* libjpeg makes RGB of it */
        out->photometric = PHOTOMETRIC_RGB;
    out->is_apart = out->planar == PLANARCONFIG_SEPARATE && out->samples > 1;
    out->tiled = TIFFIsTiled(tiff) != 0;
    if (out->samples < 1 || out->samples > 8)
        return unsupported("SamplesPerPixel: expected at most 8", out->samples, error);
    SC_TRY(check_colours(out, error));
    if (!TIFFIsCODECConfigured(out->compression))
        return unsupported("Compression: expected one that this libtiff has", out->compression, error);
    if (out->tiled) {
        TIFFGetField(tiff, TIFFTAG_TILEWIDTH, &out->tile_width);
        TIFFGetField(tiff, TIFFTAG_TILELENGTH, &out->tile_height);
        if (out->tile_width == 0 || out->tile_height == 0)
            return damaged(file, error);
    }
    return out->photometric == PHOTOMETRIC_PALETTE ? read_palette(out, file, error) : SC_OK;
}

/* Further directories are further pages, unless they say that they are a smaller copy of the first. */
static sc_status check_pages(tiff_file *file, sc_error *error) {
    size_t pages = 1, directories = 1;
    while (TIFFReadDirectory(file->tiff)) {
        uint32_t kind = 0;
        SC_TRY(file->input->check_interrupt(NULL));
        if (++directories > MAX_DIRECTORIES) /* libtiff looks through all earlier ones at each */
            return sc_error_set(error, SC_ERROR_FORMAT, "TIFF: it has more than %d directories", MAX_DIRECTORIES);
        TIFFGetField(file->tiff, TIFFTAG_SUBFILETYPE, &kind);
        pages += !(kind & FILETYPE_REDUCEDIMAGE);
    }
    if (pages > 1)
        return sc_error_set(error, SC_ERROR_FORMAT,
                            "TIFF: it holds %zu pages; single pages are read (split it into one "
                            "file per page)",
                            pages);
    return SC_OK;
}

static sc_status open_file(tiff_file *file, const sc_codec_input *input, sc_error *error) {
    *file = (tiff_file){.input = input};
    file->tiff = open_stream(file);
    return file->tiff ? SC_OK : damaged(file, error);
}

static sc_status read_header(sc_image_header *out, const sc_codec_input *input, sc_error *error) {
    tiff_file file;
    tiff_layout layout;
    SC_TRY(open_file(&file, input, error));
    sc_status status = read_layout(&layout, &file, error);
    if (status == SC_OK)
        status = check_pages(&file, error);
    TIFFClose(file.tiff);
    if (status != SC_OK)
        return status;
    bool grey = layout.photometric == PHOTOMETRIC_MINISBLACK || layout.photometric == PHOTOMETRIC_MINISWHITE;
    out->width = layout.width;
    out->height = layout.height;
    out->bits = layout.bits == 16 ? 16 : 8;
    out->channels = (grey ? 1 : 3) + (layout.samples > (layout.photometric == PHOTOMETRIC_RGB ? 3 : 1));
    return SC_OK;
}

/* Sample i of a row, whose samples of less than a byte begin at the high bits. */
static unsigned sample_at(const void *row, size_t i, unsigned bits) {
    if (bits == 16)
        return ((const uint16_t *)row)[i];
    if (bits == 8)
        return ((const uint8_t *)row)[i];
    size_t per_byte = 8 / bits;
    return ((const uint8_t *)row)[i / per_byte] >> (8 - bits * (i % per_byte + 1)) & ((1u << bits) - 1);
}

/* Writes count pixels of a decoded row, beginning with the pixel at an offset of the output. Of planes apart, plane is
 * the one that the row holds. */
static void put_row(void *samples, size_t at, const void *row, size_t count, size_t plane, const tiff_layout *layout) {
    size_t stride = layout->is_apart ? 1 : layout->samples, channels = layout->photometric >= PHOTOMETRIC_RGB ? 3 : 1;
    unsigned top = (1u << layout->bits) - 1;
    bool colour = layout->photometric == PHOTOMETRIC_RGB;
    for (size_t i = 0; i < count; i++) {
        size_t to = (at + i) * channels;
        if (layout->photometric == PHOTOMETRIC_PALETTE) {
            unsigned entry = sample_at(row, i * stride, layout->bits);
            ((uint8_t *)samples)[to] = (uint8_t)(layout->red[entry] >> layout->palette_shift);
            ((uint8_t *)samples)[to + 1] = (uint8_t)(layout->green[entry] >> layout->palette_shift);
            ((uint8_t *)samples)[to + 2] = (uint8_t)(layout->blue[entry] >> layout->palette_shift);
            continue;
        }
        for (size_t c = 0; c < (colour && !layout->is_apart ? 3 : 1); c++) {
            unsigned value = sample_at(row, i * stride + c, layout->bits);
            if (layout->photometric == PHOTOMETRIC_MINISWHITE)
                value = top - value;
            if (layout->bits == 16)
                ((uint16_t *)samples)[to + plane + c] = (uint16_t)value;
            else
                ((uint8_t *)samples)[to + plane + c] = (uint8_t)(value * (255 / top));
        }
    }
}

static sc_status read_strips(void *samples, void *row, const tiff_layout *layout, tiff_file *file, size_t plane,
                             sc_error *error) {
    for (uint32_t y = 0; y < layout->height; y++) {
        SC_TRY(file->input->check_interrupt(NULL));
        if (TIFFReadScanline(file->tiff, row, y, (uint16_t)plane) < 0)
            return damaged(file, error);
        put_row(samples, (size_t)y * layout->width, row, layout->width, plane, layout);
    }
    return SC_OK;
}

static sc_status read_tiles(void *samples, void *tile, const tiff_layout *layout, tiff_file *file, size_t plane,
                            sc_error *error) {
    size_t row_bytes = (size_t)TIFFTileRowSize(file->tiff), width = layout->width;
    for (size_t y = 0; y < layout->height; y += layout->tile_height)
        for (size_t x = 0; x < width; x += layout->tile_width) {
            SC_TRY(file->input->check_interrupt(NULL));
            if (TIFFReadTile(file->tiff, tile, (uint32_t)x, (uint32_t)y, 0, (uint16_t)plane) < 0)
                return damaged(file, error);
            for (size_t i = 0; i < layout->tile_height && y + i < layout->height; i++)
                put_row(samples, (y + i) * width + x, (const unsigned char *)tile + i * row_bytes,
                        sc_min(layout->tile_width, width - x), plane, layout);
        }
    return SC_OK;
}

/* One tile or one row, of what libtiff says that it needs: a tile is not allowed to be far larger than its image. */
static sc_status buffer_bytes(size_t *out, const tiff_layout *layout, TIFF *tiff, sc_error *error) {
    size_t width = layout->tiled ? layout->tile_width : layout->width, height = layout->tiled ? layout->tile_height : 1;
    size_t per_pixel = (size_t)(layout->is_apart ? 1 : layout->samples) * (layout->bits == 16 ? 2 : 1);
    if (layout->tiled && (width > (size_t)layout->width + 4096 || height > (size_t)layout->height + 4096))
        return sc_error_set(error, SC_ERROR_FORMAT, "a damaged TIFF file: tiles of %zu x %zu pixels", width, height);
    tmsize_t said = layout->tiled ? TIFFTileSize(tiff) : TIFFScanlineSize(tiff);
    if (said <= 0 || !sc_size_multiply(out, width * per_pixel, height))
        return sc_error_set(error, SC_ERROR_FORMAT, "a damaged TIFF file: its sizes contradict each other");
    *out = sc_max(*out, (size_t)said);
    return SC_OK;
}

static sc_status decode_pages(void *samples, const tiff_layout *layout, tiff_file *file, sc_error *error) {
    void *buffer;
    size_t bytes = 0;
    SC_TRY(buffer_bytes(&bytes, layout, file->tiff, error));
    SC_TRY(file->input->alloc(&buffer, bytes, 1, error));
    memset(buffer, 0, bytes);
    size_t planes = layout->is_apart && layout->photometric == PHOTOMETRIC_RGB ? 3 : 1;
    sc_status status = SC_OK;
    for (size_t plane = 0; plane < planes && status == SC_OK; plane++)
        status = (layout->tiled ? read_tiles : read_strips)(samples, buffer, layout, file, plane, error);
    file->input->release(buffer);
    return status;
}

static sc_status decode(void *samples, const sc_image_header *header, const sc_codec_input *input, sc_error *error) {
    tiff_file file;
    tiff_layout layout;
    SC_TRY(open_file(&file, input, error));
    sc_status status = read_layout(&layout, &file, error);
    if (status == SC_OK && (layout.width != header->width || layout.height != header->height ||
                            (layout.bits == 16) != (header->bits == 16) ||
                            (layout.photometric >= PHOTOMETRIC_RGB) != (header->channels >= 3)))
        status = damaged(&file, error);
    if (status == SC_OK)
        status = decode_pages(samples, &layout, &file, error);
    TIFFClose(file.tiff);
    return status;
}

extern SC_CODEC_EXPORT const sc_codec sc_codec_table;
const sc_codec sc_codec_table = {SC_CODEC_VERSION, read_header, decode};
