#include "codec/jpeg2000.h"

#include <openjpeg.h>
#include <string.h>

/* Where OpenJPEG reads from. */
typedef struct memory_stream {
    const unsigned char *data;
    size_t length, at;
} memory_stream;

static OPJ_SIZE_T read_bytes(void *to, OPJ_SIZE_T count, void *context) {
    memory_stream *stream = context;
    size_t left = stream->length - stream->at;
    if (left == 0)
        return (OPJ_SIZE_T)-1;
    if (count > left)
        count = left;
    memcpy(to, stream->data + stream->at, count);
    stream->at += count;
    return count;
}

static OPJ_OFF_T skip_bytes(OPJ_OFF_T count, void *context) {
    memory_stream *stream = context;
    size_t left = stream->length - stream->at;
    if (count < 0)
        return -1;
    size_t step = (size_t)count > left ? left : (size_t)count;
    stream->at += step;
    return (OPJ_OFF_T)step;
}

static OPJ_BOOL seek_bytes(OPJ_OFF_T to, void *context) {
    memory_stream *stream = context;
    if (to < 0 || (size_t)to > stream->length)
        return OPJ_FALSE;
    stream->at = (size_t)to;
    return OPJ_TRUE;
}

static sc_status refuse(const char *reason, sc_error *error) {
    return sc_error_set(error, SC_ERROR_FORMAT, "a damaged DICOM file: its JPEG 2000 stream %s", reason);
}

static sc_status check_image(const opj_image_t *image, const sc_dicom_info *info, sc_error *error) {
    if (image->numcomps != info->samples)
        return refuse("has another number of components than its header says", error);
    for (OPJ_UINT32 c = 0; c < image->numcomps; c++) {
        const opj_image_comp_t *plane = &image->comps[c];
        if (plane->w != info->columns || plane->h != info->rows || plane->dx != 1 || plane->dy != 1)
            return refuse("is of another size than its header says", error);
        if (plane->prec == 0 || plane->prec > info->bits_allocated || plane->prec != image->comps[0].prec)
            return refuse("has more bits than its header says", error);
    }
    return SC_OK;
}

static sc_status copy_samples(void *out, const opj_image_t *image, const sc_dicom_info *info, sc_error *error) {
    size_t area = info->rows * info->columns, samples = info->samples;
    uint32_t mask = ((uint32_t)1 << image->comps[0].prec) - 1;
    for (size_t c = 0; c < samples; c++) {
        const OPJ_INT32 *plane = image->comps[c].data;
        if (!plane)
            return refuse("lacks its data", error);
        for (size_t i = 0; i < area; i++) {
            uint32_t value = (uint32_t)plane[i] & mask;
            if (info->bits_allocated == 8)
                ((uint8_t *)out)[i * samples + c] = (uint8_t)value;
            else
                ((uint16_t *)out)[i * samples + c] = (uint16_t)value;
        }
    }
    return SC_OK;
}

static sc_status decode(void *out, opj_stream_t *stream, opj_codec_t *codec, sc_dicom_info *info, sc_error *error) {
    opj_dparameters_t parameters;
    opj_image_t *image = NULL;
    sc_status status = SC_OK;
    opj_set_default_decoder_parameters(&parameters);
    if (!opj_setup_decoder(codec, &parameters) || !opj_decoder_set_strict_mode(codec, OPJ_TRUE) ||
        !opj_read_header(stream, codec, &image))
        status = refuse("has no header that can be read", error);
    if (status == SC_OK)
        status = check_image(image, info, error); /* before anything is decoded */
    if (status == SC_OK && (!opj_decode(codec, stream, image) || !opj_end_decompress(codec, stream)))
        status = refuse("cannot be decoded", error);
    if (status == SC_OK)
        status = check_image(image, info, error);
    if (status == SC_OK)
        status = copy_samples(out, image, info, error);
    if (status == SC_OK) {
        info->bits_stored = image->comps[0].prec;
        info->high_bit = info->bits_stored - 1;
    }
    opj_image_destroy(image);
    return status;
}

sc_status sc_jpeg2000_decode(void *out, const unsigned char *bytes, size_t length, sc_dicom_info *info,
                             sc_error *error) {
    static const unsigned char box[4] = {0, 0, 0, 12}; /* a JP2 file, where the standard wants a bare code stream */
    memory_stream memory = {.data = bytes, .length = length};
    bool boxed = length >= sizeof box && memcmp(bytes, box, sizeof box) == 0;
    opj_codec_t *codec = opj_create_decompress(boxed ? OPJ_CODEC_JP2 : OPJ_CODEC_J2K);
    opj_stream_t *stream = opj_stream_default_create(OPJ_TRUE);
    sc_status status = SC_OK;
    if (codec && stream) {
        opj_stream_set_user_data(stream, &memory, NULL);
        opj_stream_set_user_data_length(stream, length);
        opj_stream_set_read_function(stream, read_bytes);
        opj_stream_set_skip_function(stream, skip_bytes);
        opj_stream_set_seek_function(stream, seek_bytes);
        status = decode(out, stream, codec, info, error);
    } else {
        status = sc_error_set(error, SC_ERROR_MEMORY, "out of memory while reading a DICOM file");
    }
    if (stream)
        opj_stream_destroy(stream);
    if (codec)
        opj_destroy_codec(codec);
    return status;
}
