#include "image/batch.h"

#include "base/memory.h"
#include "image/fault.h"

#include <string.h>

static sc_status create_failures(sc_image_batch *batch, size_t count, sc_error *error) {
    void *memory;
    *batch = (sc_image_batch){.count = count};
    SC_TRY(sc_memory_calloc(&memory, count, sizeof *batch->failed, error));
    batch->failed = memory;
    sc_status status = sc_memory_calloc(&memory, count, sizeof *batch->messages, error);
    if (status != SC_OK)
        sc_image_batch_release(batch);
    else
        batch->messages = memory;
    return status;
}

sc_status sc_image_batch_create(sc_image_batch *batch, size_t count, const sc_preprocess *preprocess, sc_error *error) {
    sc_shape shape;
    SC_TRY(
        sc_shape_init(&shape, 4, (size_t[]){count, preprocess->channels, preprocess->size, preprocess->size}, error));
    SC_TRY(create_failures(batch, count, error));
    sc_status status = sc_tensor_create(&batch->pixels, SC_REAL, &shape, error);
    if (status != SC_OK)
        sc_image_batch_release(batch);
    return status;
}

/* Notes an image whose bytes are wrong; every other reason is handed back. */
static sc_status record_failure(sc_image_batch *batch, size_t position, const sc_error *reason, sc_error *error) {
    void *memory;
    size_t length = strlen(reason->message) + 1;
    if (reason->status != SC_ERROR_FORMAT)
        return sc_error_set(error, reason->status, "%s", reason->message);
    SC_TRY(sc_memory_alloc(&memory, length, 1, error));
    batch->failed[position] = true;
    batch->messages[position] = memcpy(memory, reason->message, length);
    return SC_OK;
}

static size_t row_length(const sc_image_batch *batch) {
    const size_t *size = batch->pixels.shape.size;
    return size[1] * size[2] * size[3];
}

sc_status sc_image_batch_fill(sc_image_batch *batch, size_t position, sc_image_source *source, size_t index,
                              const sc_preprocess *preprocess, sc_preprocess_scratch *scratch, sc_error *error) {
    sc_error reason;
    sc_pixels pixels = {0};
    sc_real *out = sc_tensor_real(&batch->pixels) + position * row_length(batch);
    sc_status status = sc_image_source_load(source, index, &pixels, &reason);
    if (status != SC_OK)
        return record_failure(batch, position, &reason, error);
    status = sc_preprocess_apply(out, preprocess, &pixels, index, scratch, error);
    sc_pixels_release(&pixels);
    return status;
}

sc_status sc_image_batch_load(sc_image_batch *batch, sc_image_source *source, const size_t *indices, size_t count,
                              const sc_preprocess *preprocess, sc_error *error) {
    SC_TRY(sc_image_batch_create(batch, count, preprocess, error));
    sc_image_fault fault;
    sc_image_fault_init(&fault);
#pragma omp parallel
    {
        sc_error reason;
        sc_preprocess_scratch scratch = {0};
#pragma omp for schedule(dynamic, 1)
        for (size_t i = 0; i < count; i++)
            if (!sc_image_fault_is_set(&fault) &&
                sc_image_batch_fill(batch, i, source, indices[i], preprocess, &scratch, &reason) != SC_OK)
                sc_image_fault_set(&fault, i, &reason);
        sc_preprocess_scratch_release(&scratch);
    }
    sc_status status = sc_image_fault_get(&fault, error);
    if (status == SC_OK)
        status = sc_image_batch_finish(batch, error);
    if (status != SC_OK)
        sc_image_batch_release(batch);
    return status;
}

sc_status sc_image_batch_finish(sc_image_batch *batch, sc_error *error) {
    size_t length = row_length(batch), kept = 0;
    sc_real *data = sc_tensor_real(&batch->pixels);
    for (size_t i = 0; i < batch->count; i++) {
        if (batch->failed[i])
            continue;
        if (kept != i)
            memcpy(data + kept * length, data + i * length, length * sizeof *data);
        kept++;
    }
    if (kept == batch->count)
        return SC_OK;
    sc_tensor rows;
    SC_TRY(sc_tensor_rows(&rows, &batch->pixels, 0, kept, error));
    sc_tensor_release(&batch->pixels);
    batch->pixels = rows;
    return SC_OK;
}

sc_status sc_image_batch_check(sc_image_batch *batch, const sc_image_source *source, sc_error *error) {
    size_t count = sc_image_source_count(source);
    sc_image_fault fault;
    sc_image_fault_init(&fault);
    SC_TRY(create_failures(batch, count, error));
#pragma omp parallel for schedule(dynamic, 16)
    for (size_t i = 0; i < count; i++) {
        sc_error reason, other;
        if (!sc_image_fault_is_set(&fault) && sc_image_source_check(source, i, &reason) != SC_OK &&
            record_failure(batch, i, &reason, &other) != SC_OK)
            sc_image_fault_set(&fault, i, &other);
    }
    sc_status status = sc_image_fault_get(&fault, error);
    if (status != SC_OK)
        sc_image_batch_release(batch);
    return status;
}

void sc_image_batch_release(sc_image_batch *batch) {
    sc_tensor_release(&batch->pixels);
    for (size_t i = 0; batch->messages && i < batch->count; i++)
        sc_memory_free(batch->messages[i]);
    sc_memory_free(batch->messages);
    sc_memory_free(batch->failed);
    *batch = (sc_image_batch){0};
}
