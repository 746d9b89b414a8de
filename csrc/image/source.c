#include "image/source.h"

#include "base/memory.h"
#include "image/phantom.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

typedef enum source_kind { KIND_FILES, KIND_PIXELS, KIND_PHANTOM } source_kind;

struct sc_image_source {
    atomic_size_t references;
    source_kind kind;
    size_t count;
    char *names; /* files: all paths, each ended by a zero */
    const char **paths;
    sc_decode_options options;
    sc_tensor pixels;
    uint8_t *findings;
    size_t size;
    uint64_t seed;
    pthread_mutex_t lock; /* over the three that follow */
    sc_pixels *cache;     /* per index; what is in stays in, so that others may read it without the lock */
    size_t cached_bytes, cache_bytes;
};

static sc_status create(sc_image_source **out, source_kind kind, size_t count, size_t cache_bytes, sc_error *error) {
    void *memory;
    *out = NULL;
    SC_TRY(sc_memory_calloc(&memory, 1, sizeof(sc_image_source), error));
    sc_image_source *source = memory;
    if (pthread_mutex_init(&source->lock, NULL) != 0) {
        sc_memory_free(source);
        return sc_error_set(error, SC_ERROR_MEMORY, "image source: could not create a mutex");
    }
    atomic_init(&source->references, 1);
    source->kind = kind;
    source->count = count;
    source->cache_bytes = cache_bytes;
    if (kind != KIND_PIXELS && cache_bytes > 0) {
        sc_status status = sc_memory_calloc(&memory, count, sizeof(sc_pixels), error);
        if (status != SC_OK) {
            sc_image_source_release(source);
            return status;
        }
        source->cache = memory;
    }
    *out = source;
    return SC_OK;
}

sc_image_source *sc_image_source_retain(sc_image_source *source) {
    atomic_fetch_add(&source->references, 1);
    return source;
}

void sc_image_source_release(sc_image_source *source) {
    if (!source || atomic_fetch_sub(&source->references, 1) != 1)
        return;
    for (size_t i = 0; source->cache && i < source->count; i++)
        sc_pixels_release(&source->cache[i]);
    sc_memory_free(source->cache);
    sc_memory_free(source->names);
    sc_memory_free(source->paths);
    sc_memory_free(source->findings);
    sc_tensor_release(&source->pixels);
    pthread_mutex_destroy(&source->lock);
    sc_memory_free(source);
}

static sc_status copy_paths(sc_image_source *source, const char *const *paths, sc_error *error) {
    size_t bytes = 0;
    void *memory;
    for (size_t i = 0; i < source->count; i++)
        bytes += strlen(paths[i]) + 1;
    SC_TRY(sc_memory_alloc(&memory, bytes, 1, error));
    source->names = memory;
    SC_TRY(sc_memory_alloc(&memory, source->count, sizeof *source->paths, error));
    source->paths = memory;
    char *next = source->names;
    for (size_t i = 0; i < source->count; i++) {
        size_t length = strlen(paths[i]) + 1;
        source->paths[i] = memcpy(next, paths[i], length);
        next += length;
    }
    return SC_OK;
}

sc_status sc_image_source_create_files(sc_image_source **out, const char *const *paths, size_t count,
                                       const sc_decode_options *options, size_t cache_bytes, sc_error *error) {
    SC_TRY(create(out, KIND_FILES, count, cache_bytes, error));
    (*out)->options = *options;
    sc_status status = copy_paths(*out, paths, error);
    if (status != SC_OK) {
        sc_image_source_release(*out);
        *out = NULL;
    }
    return status;
}

sc_status sc_image_source_create_pixels(sc_image_source **out, const sc_tensor *pixels, sc_error *error) {
    const sc_shape *shape = &pixels->shape;
    char text[SC_SHAPE_TEXT];
    *out = NULL;
    bool shaped = shape->ndim == 3 || (shape->ndim == 4 && (shape->size[3] == 1 || shape->size[3] == 3));
    if (!shaped || pixels->dtype != SC_UINT8 || shape->size[1] == 0 || shape->size[2] == 0)
        return sc_error_set(error, SC_ERROR_ARGUMENT,
                            "pixels: expected a uint8 tensor [N,H,W], [N,H,W,1] or [N,H,W,3], got %s of %s",
                            sc_shape_format(text, shape), sc_dtype_name(pixels->dtype));
    SC_TRY(create(out, KIND_PIXELS, shape->size[0], 0, error));
    (*out)->pixels = sc_tensor_share(pixels);
    return SC_OK;
}

sc_status sc_image_source_create_phantoms(sc_image_source **out, const uint8_t *findings, size_t count, size_t size,
                                          uint64_t seed, size_t cache_bytes, sc_error *error) {
    void *memory;
    SC_TRY(create(out, KIND_PHANTOM, count, cache_bytes, error));
    (*out)->size = size;
    (*out)->seed = seed;
    sc_status status = sc_memory_alloc(&memory, count, 1, error);
    if (status != SC_OK) {
        sc_image_source_release(*out);
        *out = NULL;
        return status;
    }
    (*out)->findings = memory;
    if (count > 0)
        memcpy(memory, findings, count);
    return SC_OK;
}

size_t sc_image_source_count(const sc_image_source *source) {
    return source->count;
}

/* An image that somebody else owns. */
static sc_pixels borrowed(const sc_pixels *pixels) {
    sc_pixels copy = *pixels;
    copy.owned = NULL;
    return copy;
}

static bool find_cached(sc_image_source *source, size_t index, sc_pixels *out) {
    pthread_mutex_lock(&source->lock);
    *out = borrowed(&source->cache[index]);
    pthread_mutex_unlock(&source->lock);
    return out->data != NULL;
}

/* Hands the image over to the cache when there is room, and leaves the caller a borrowed one. */
static void add_to_cache(sc_image_source *source, size_t index, sc_pixels *pixels) {
    size_t bytes = sc_pixels_bytes(pixels);
    pthread_mutex_lock(&source->lock);
    if (!source->cache[index].data && bytes <= source->cache_bytes - source->cached_bytes) {
        source->cache[index] = *pixels;
        source->cached_bytes += bytes;
        *pixels = borrowed(pixels);
    }
    pthread_mutex_unlock(&source->lock);
}

static sc_pixels row(const sc_tensor *pixels, size_t index) {
    const sc_shape *shape = &pixels->shape;
    size_t channels = shape->ndim == 4 ? shape->size[3] : 1;
    size_t bytes = shape->size[1] * shape->size[2] * channels;
    return (sc_pixels){.data = sc_tensor_uint8(pixels) + index * bytes,
                       .width = shape->size[2],
                       .height = shape->size[1],
                       .channels = channels,
                       .depth = SC_DEPTH_8};
}

sc_status sc_image_source_load(sc_image_source *source, size_t index, sc_pixels *out, sc_error *error) {
    *out = (sc_pixels){0};
    if (index >= source->count)
        return sc_error_set(error, SC_ERROR_ARGUMENT, "index: expected one of the %zu images, got %zu", source->count,
                            index + 1);
    if (source->kind == KIND_PIXELS) {
        *out = row(&source->pixels, index);
        return SC_OK;
    }
    if (source->cache && find_cached(source, index, out))
        return SC_OK;
    if (source->kind == KIND_FILES)
        SC_TRY(sc_pixels_load(out, source->paths[index], &source->options, error));
    else
        SC_TRY(sc_phantom_draw(out, source->findings[index], source->size, source->seed, index, error));
    if (source->cache)
        add_to_cache(source, index, out);
    return SC_OK;
}

sc_status sc_image_source_check(const sc_image_source *source, size_t index, sc_error *error) {
    sc_image_header info;
    if (source->kind != KIND_FILES)
        return SC_OK;
    return sc_image_header_load(&info, source->paths[index], &source->options.limits, error);
}
