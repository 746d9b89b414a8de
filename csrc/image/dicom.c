#include "image/dicom.h"

#include "base/math64.h"
#include "base/memory.h"
#include "base/size.h"

#include <math.h>
#include <string.h>

static sc_status find_reader(const sc_dicom_reader **out, sc_error *error) {
    const void *table = NULL;
    sc_status status = sc_codec_find(&table, SC_IMAGE_DICOM, error);
    *out = table;
    return status;
}

static bool is_grey(const sc_dicom_info *info) {
    return info->photometric == SC_DICOM_MONOCHROME1 || info->photometric == SC_DICOM_MONOCHROME2;
}

static sc_status refuse(const char *reason, sc_error *error) {
    return sc_error_set(error, SC_ERROR_FORMAT, "DICOM: %s", reason);
}

/* Sizes, bits and colours that can be read, judged before anything is decoded. */
static sc_status check_info(const sc_dicom_info *info, sc_error *error) {
    size_t samples = is_grey(info) || info->photometric == SC_DICOM_PALETTE ? 1 : 3;
    if (info->rows == 0 || info->columns == 0)
        return refuse("it holds no picture (no Rows and Columns: a report, a directory, a curve)", error);
    if (info->frames != 1)
        return sc_error_set(error, SC_ERROR_FORMAT,
                            "DICOM: it holds %zu frames; single frames are read (split it into one file per frame)",
                            info->frames);
    if (info->photometric == SC_DICOM_OTHER)
        return sc_error_set(
            error, SC_ERROR_FORMAT,
            "DICOM: PhotometricInterpretation: expected MONOCHROME1, MONOCHROME2, PALETTE COLOR, RGB or "
            "YBR_FULL(_422), got '%s'",
            info->photometric_name);
    if (info->samples != samples)
        return sc_error_set(error, SC_ERROR_FORMAT, "DICOM: SamplesPerPixel: expected %zu of %s, got %zu", samples,
                            info->photometric_name, info->samples);
    if (info->bits_allocated != 8 && info->bits_allocated != 16)
        return sc_error_set(error, SC_ERROR_FORMAT, "DICOM: BitsAllocated: expected 8 or 16, got %u",
                            info->bits_allocated);
    if (info->bits_stored == 0 || info->bits_stored > info->bits_allocated || info->high_bit >= info->bits_allocated ||
        info->high_bit + 1 < info->bits_stored)
        return sc_error_set(error, SC_ERROR_FORMAT, "DICOM: %u bits below bit %u cannot be in %u", info->bits_stored,
                            info->high_bit + 1, info->bits_allocated);
    if (info->photometric >= SC_DICOM_YBR_FULL && info->bits_allocated != 8)
        return sc_error_set(error, SC_ERROR_FORMAT, "DICOM: BitsAllocated: expected 8 of %s, got %u",
                            info->photometric_name, info->bits_allocated);
    for (int c = 0; info->photometric == SC_DICOM_PALETTE && c < 3; c++)
        if (!info->palette[c].data)
            return refuse("a palette without its tables (segmented ones are not read)", error);
    return SC_OK;
}

static bool is_deep(const sc_dicom_info *info) {
    return info->photometric == SC_DICOM_PALETTE ? info->palette[0].bits > 8 : info->bits_stored > 8;
}

static sc_image_header header_of(const sc_dicom_info *info) {
    return (sc_image_header){.format = SC_IMAGE_DICOM,
                             .width = info->columns,
                             .height = info->rows,
                             .channels = is_grey(info) ? 1 : 3,
                             .bits = is_deep(info) ? 16 : 8};
}

sc_status sc_dicom_read_header(sc_image_header *out, const sc_image_bytes *bytes, sc_error *error) {
    const sc_dicom_reader *reader = NULL;
    sc_dicom_file *file = NULL;
    sc_dicom_info info;
    SC_TRY(find_reader(&reader, error));
    sc_codec_input input;
    SC_TRY(sc_codec_begin(&input, bytes, 0, error));
    SC_TRY(sc_codec_end(reader->open(&file, &info, &input, false, error), SC_IMAGE_DICOM, error));
    sc_status status = check_info(&info, error);
    reader->close(file);
    if (status == SC_OK)
        *out = header_of(&info);
    return status;
}

static unsigned lut_entry(const sc_dicom_lut *lut, double value) {
    double place = floor(value + 0.5) - lut->first;
    size_t last = lut->count - 1, i = place <= 0 ? 0 : place >= (double)last ? last : (size_t)place;
    if (lut->words >= lut->count)
        return lut->data[i] & (lut->bits >= 16 ? 0xffffu : (1u << lut->bits) - 1);
    return lut->data[i / 2] >> (i % 2 * 8) & 0xffu;
}

/* The largest that an entry can be. Tables claim 16 bits and fill 12 as often as not: this is what they claim. */
static double lut_top(const sc_dicom_lut *lut) {
    return lut->bits >= 16 ? 65535 : (double)((1u << lut->bits) - 1);
}

static double rescale(const sc_dicom_info *info, double stored) {
    return info->modality.data ? lut_entry(&info->modality, stored) : stored * info->slope + info->intercept;
}

/* The stored value of a code, which is the BitsStored bits without their place in the sample. */
static int32_t stored_value(const sc_dicom_info *info, uint32_t code) {
    int32_t size = (int32_t)1 << info->bits_stored;
    return info->is_signed && (int32_t)code >= size / 2 ? (int32_t)code - size : (int32_t)code;
}

typedef enum window_function { LINEAR, LINEAR_EXACT, SIGMOID } window_function;

/* How values become grey levels: by window, table or (low, high). */
typedef struct grey_scale {
    bool windowed;
    window_function function;
    double centre, width;
    const sc_dicom_lut *voi;
    double low, high;
} grey_scale;

static sc_status read_function(window_function *out, const char *name, sc_error *error) {
    static const char *const names[] = {"LINEAR", "LINEAR_EXACT", "SIGMOID"};
    for (int i = LINEAR; i <= SIGMOID; i++)
        if (strcmp(name, names[i]) == 0) {
            *out = (window_function)i;
            return SC_OK;
        }
    return sc_error_set(error, SC_ERROR_FORMAT,
                        "DICOM: VOILUTFunction: expected LINEAR, LINEAR_EXACT or SIGMOID, got "
                        "'%s'; window = {centre, width} or \"full\" does without",
                        name);
}

static sc_status choose_scale(grey_scale *out, const sc_dicom_info *info, const sc_window *window, sc_error *error) {
    double size = (double)((uint32_t)1 << info->bits_stored), least = info->is_signed ? -size / 2 : 0;
    double first = rescale(info, least), last = rescale(info, least + size - 1);
    *out = (grey_scale){.centre = window->centre, .width = window->width, .windowed = window->kind == SC_WINDOW_GIVEN};
    if (!isfinite(info->slope) || !isfinite(info->intercept) || info->slope == 0)
        return sc_error_set(error, SC_ERROR_FORMAT, "DICOM: RescaleSlope %g, RescaleIntercept %g", info->slope,
                            info->intercept);
    if (window->kind == SC_WINDOW_FILE && info->has_window) {
        SC_TRY(read_function(&out->function, info->window_function, error));
        *out = (grey_scale){.windowed = true, .function = out->function, .centre = info->centre, .width = info->width};
    } else if (window->kind == SC_WINDOW_FILE && info->voi.data) {
        out->voi = &info->voi;
    }
    if (out->windowed && (!isfinite(out->centre) || !(out->width > 0) || !isfinite(out->width) ||
                          (out->function == LINEAR && out->width < 1)))
        return sc_error_set(
            error, SC_ERROR_FORMAT,
            "DICOM: a window of centre %g and width %g; window = {centre, width} or \"full\" does without", out->centre,
            out->width);
    out->low = info->modality.data ? 0 : first < last ? first : last;
    out->high = info->modality.data ? lut_top(&info->modality) : first < last ? last : first;
    return SC_OK;
}

/* y in 0..1 of a value x after the modality transformation. */
static double grey_level(const grey_scale *scale, double x) {
    double y;
    if (scale->windowed && scale->function == SIGMOID)
        return 1 / (1 + sc_exp64(-4 * (x - scale->centre) / scale->width));
    if (scale->windowed && scale->function == LINEAR_EXACT) {
        y = (x - scale->centre) / scale->width + 0.5;
    } else if (scale->windowed) {
        double half = (scale->width - 1) / 2, middle = scale->centre - 0.5;
        if (x <= middle - half)
            return 0;
        y = x > middle + half ? 1 : (x - middle) / (scale->width - 1) + 0.5;
    } else if (scale->voi) {
        y = lut_entry(scale->voi, x) / lut_top(scale->voi);
    } else {
        y = (x - scale->low) / (scale->high - scale->low);
    }
    return y < 0 ? 0 : y > 1 ? 1 : y;
}

/* The sample at an index: its BitsStored bits. */
static inline uint32_t code_at(const sc_dicom_info *info, const void *data, size_t i) {
    uint32_t sample = info->bits_allocated == 8 ? ((const uint8_t *)data)[i] : ((const uint16_t *)data)[i];
    return sample >> (info->high_bit + 1 - info->bits_stored) & (((uint32_t)1 << info->bits_stored) - 1);
}

static sc_status decode_grey(sc_pixels *out, const sc_dicom_info *info, const void *data, const sc_window *window,
                             sc_error *error) {
    grey_scale scale;
    void *memory, *table;
    size_t area = out->width * out->height, codes = (size_t)1 << info->bits_stored;
    SC_TRY(choose_scale(&scale, info, window, error));
    bool plain = codes == 256 && !scale.windowed && !scale.voi && !info->modality.data;
    SC_TRY(sc_memory_alloc(&table, codes, sizeof(uint16_t), error));
    uint16_t *levels = table;
    for (size_t code = 0; code < codes; code++) {
        double y = grey_level(&scale, rescale(info, stored_value(info, (uint32_t)code)));
        y = info->photometric == SC_DICOM_MONOCHROME1 ? 1 - y : y;
        levels[code] = (uint16_t)floor(y * (plain ? 255 : 65535) + 0.5);
    }
    sc_status status = sc_memory_alloc(&memory, area, plain ? 1 : 2, error);
    if (status == SC_OK) {
        out->data = out->owned = memory;
        out->channels = 1;
        out->depth = plain ? SC_DEPTH_8 : SC_DEPTH_16;
        for (size_t i = 0; i < area; i++)
            if (plain)
                ((uint8_t *)memory)[i] = (uint8_t)levels[code_at(info, data, i)];
            else
                ((uint16_t *)memory)[i] = levels[code_at(info, data, i)];
    }
    sc_memory_free(table);
    return status;
}

/* Rec. 601's inverse, full range, rounded to nearest (PS3.3 C.7.6.3.1.2). */
static void ybr_to_rgb(uint8_t rgb[3], uint8_t luma, uint8_t blue, uint8_t red) {
    double y = luma, cb = blue - 128.0, cr = red - 128.0;
    double value[3] = {y + 1.402 * cr, y - (0.114 * 1.772 / 0.587) * cb - (0.299 * 1.402 / 0.587) * cr, y + 1.772 * cb};
    for (int c = 0; c < 3; c++)
        rgb[c] = (uint8_t)(value[c] <= 0 ? 0 : value[c] >= 255 ? 255 : floor(value[c] + 0.5));
}

/* Bits of any number to all of 8 or 16: the largest code becomes the largest sample. */
static uint32_t widen(const sc_dicom_info *info, uint32_t code, uint32_t top) {
    uint32_t most = ((uint32_t)1 << info->bits_stored) - 1;
    return most == top ? code : (uint32_t)(((uint64_t)code * top * 2 + most) / (2 * (uint64_t)most));
}

static void decode_palette(void *samples, const sc_dicom_info *info, const void *data, size_t area, bool deep) {
    for (size_t i = 0; i < area; i++)
        for (size_t c = 0; c < 3; c++) {
            unsigned entry = lut_entry(&info->palette[c], stored_value(info, code_at(info, data, i)));
            if (deep)
                ((uint16_t *)samples)[3 * i + c] = (uint16_t)entry;
            else
                ((uint8_t *)samples)[3 * i + c] = (uint8_t)entry;
        }
}

static sc_status decode_colour(sc_pixels *out, const sc_dicom_info *info, const void *data, size_t bytes,
                               sc_error *error) {
    void *samples;
    bool deep = is_deep(info);
    size_t area = out->width * out->height;
    SC_TRY(sc_memory_alloc(&samples, 3 * area, deep ? 2 : 1, error));
    out->data = out->owned = samples;
    out->channels = 3;
    out->depth = deep ? SC_DEPTH_16 : SC_DEPTH_8;
    const uint8_t *in = data;
    bool halved = info->photometric == SC_DICOM_YBR_FULL_422 && bytes < 3 * area; /* Y Y Cb Cr of two neighbours */
    if (info->photometric == SC_DICOM_PALETTE) {
        decode_palette(samples, info, data, area, deep);
        return SC_OK;
    }
    for (size_t i = 0; i < area; i++) {
        size_t at[3];
        for (size_t c = 0; c < 3; c++)
            at[c] = info->is_planar ? c * area + i : 3 * i + c;
        if (halved)
            ybr_to_rgb((uint8_t *)samples + 3 * i, in[i / 2 * 4 + i % 2], in[i / 2 * 4 + 2], in[i / 2 * 4 + 3]);
        else if (info->photometric != SC_DICOM_RGB)
            ybr_to_rgb((uint8_t *)samples + 3 * i, in[at[0]], in[at[1]], in[at[2]]);
        else
            for (size_t c = 0; c < 3; c++)
                if (deep)
                    ((uint16_t *)samples)[3 * i + c] = (uint16_t)widen(info, code_at(info, data, at[c]), 65535);
                else
                    ((uint8_t *)samples)[3 * i + c] = (uint8_t)widen(info, code_at(info, data, at[c]), 255);
    }
    return SC_OK;
}

/* How many bytes the pixels need, at least. */
static bool bytes_needed(size_t *out, const sc_dicom_info *info) {
    size_t area, bits = info->bits_allocated / 8;
    if (!sc_size_multiply(&area, info->rows, info->columns) || !sc_size_multiply(out, area, info->samples * bits))
        return false;
    if (info->photometric == SC_DICOM_YBR_FULL_422)
        *out = sc_divide_up(area, 2) * 4;
    return true;
}

sc_status sc_dicom_decode(sc_pixels *out, const sc_image_header *header, const sc_image_bytes *bytes,
                          const sc_decode_options *options, sc_error *error) {
    const sc_dicom_reader *reader = NULL;
    sc_dicom_file *file = NULL;
    sc_dicom_info info;
    const void *data = NULL;
    size_t length = 0, needed = 0;
    *out = (sc_pixels){0};
    SC_TRY(find_reader(&reader, error));
    sc_codec_input input;
    SC_TRY(sc_codec_begin(&input, bytes, header->width * header->height, error));
    SC_TRY(sc_codec_end(reader->open(&file, &info, &input, true, error), SC_IMAGE_DICOM, error));
    size_t rows = info.rows, columns = info.columns;
    sc_image_header size = header_of(&info);
    sc_status status = check_info(&info, error);
    if (status == SC_OK)
        status = sc_image_header_check_size(&size, &options->limits, error);
    if (status == SC_OK)
        status = sc_codec_end(reader->pixels(file, &info, &data, &length, error), SC_IMAGE_DICOM, error);
    if (status == SC_OK)
        status = check_info(&info, error);
    if (status == SC_OK && (info.rows != rows || info.columns != columns || !bytes_needed(&needed, &info)))
        status = refuse("its headers contradict each other", error);
    if (status == SC_OK && length < needed)
        status = sc_error_set(error, SC_ERROR_FORMAT,
                              "a damaged DICOM file: truncated (%zu bytes of pixels, expected "
                              "%zu)",
                              length, needed);
    if (status == SC_OK) {
        *out = (sc_pixels){.width = columns, .height = rows};
        status = is_grey(&info) ? decode_grey(out, &info, data, &options->window, error)
                                : decode_colour(out, &info, data, length, error);
    }
    if (status != SC_OK)
        sc_pixels_release(out);
    reader->close(file);
    return status;
}

static void copy_identifier(char out[65], const char *text) {
    size_t length = text ? strlen(text) : 0;
    if (length > 64)
        length = 64;
    if (length > 0)
        memcpy(out, text, length);
    out[length] = 0;
}

sc_status sc_dicom_identifiers_load(sc_dicom_identifiers *out, const char *path, sc_error *error) {
    const sc_dicom_reader *reader = NULL;
    sc_dicom_file *parsed = NULL;
    sc_dicom_info info;
    sc_error reason, fault = {.status = SC_OK};
    sc_file file;
    SC_TRY(sc_file_open(&file, path, error));
    sc_image_bytes bytes = {.file = &file, .fault = &fault};
    sc_status status = sc_image_format_detect(&bytes) == SC_IMAGE_DICOM
                           ? find_reader(&reader, &reason)
                           : sc_error_set(&reason, SC_ERROR_FORMAT, "not a DICOM file");
    if (status == SC_OK) {
        sc_codec_input input;
        status = sc_codec_begin(&input, &bytes, 0, &reason);
        if (status == SC_OK)
            status = sc_codec_end(reader->open(&parsed, &info, &input, false, &reason), SC_IMAGE_DICOM, &reason);
    }
    if (status == SC_OK) {
        copy_identifier(out->patient, info.patient);
        copy_identifier(out->study, info.study);
        copy_identifier(out->series, info.series);
        reader->close(parsed);
    }
    sc_file_close(&file);
    if (fault.status != SC_OK)
        return sc_error_set(error, fault.status, "%s", fault.message);
    return status == SC_OK ? SC_OK : sc_error_set(error, status, "'%s': %s", path, reason.message);
}
