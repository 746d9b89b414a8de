#define _POSIX_C_SOURCE 200809L
#include "image/codec.h"

#include "base/memory.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

/* One row per format that has a module. What is found stays loaded as long as the process runs: this is a cache of the
 * dynamic linker's, and holds nothing that a result depends on. */
typedef struct codec_module {
    sc_image_format format;
    const char *library, *package, *variable; /* what it is made with; its package in Debian; the Makefile's switch */
    char path[4096];                          /* empty: this build has none */
    const void *table;
} codec_module;

static codec_module modules[] = {
    {SC_IMAGE_TIFF, "libtiff", "libtiff-dev", "TIFF", "", NULL},
    {SC_IMAGE_WEBP, "libwebp", "libwebp-dev", "WEBP", "", NULL},
    {SC_IMAGE_DICOM, "DCMTK", "libdcmtk-dev", "DICOM", "", NULL},
};
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static codec_module *module_of(sc_image_format format) {
    for (size_t i = 0; i < sizeof modules / sizeof modules[0]; i++)
        if (modules[i].format == format)
            return &modules[i];
    return NULL;
}

sc_status sc_codec_set_path(sc_image_format format, const char *path, sc_error *error) {
    codec_module *module = module_of(format);
    if (!module || strlen(path) >= sizeof module->path)
        return sc_error_set(error, SC_ERROR_ARGUMENT, "codec: expected a format and a path, got %s and '%s'",
                            sc_image_format_name(format), path);
    pthread_mutex_lock(&lock);
    strcpy(module->path, path);
    pthread_mutex_unlock(&lock);
    return SC_OK;
}

/* With the lock held. */
static sc_status load(codec_module *module, sc_error *error) {
    const char *name = sc_image_format_name(module->format);
    if (!module->path[0])
        return sc_error_set(error, SC_ERROR_FORMAT, "%s: this build has no %s; install %s and run make again", name,
                            module->library, module->package);
    void *handle = dlopen(module->path, RTLD_NOW | RTLD_LOCAL);
    const void *table = handle ? dlsym(handle, "sc_codec_table") : NULL;
    if (!table) {
        const char *reason = dlerror();
        sc_error_set(error, SC_ERROR_FORMAT, "%s: its module cannot be loaded (%s); install %s and run make again",
                     name, reason ? reason : "no reason given", module->package);
        if (handle)
            dlclose(handle);
        return SC_ERROR_FORMAT;
    }
    if (*(const size_t *)table != SC_CODEC_VERSION) {
        dlclose(handle);
        return sc_error_set(error, SC_ERROR_FORMAT, "%s: '%s' is of another build; run make again", name, module->path);
    }
    module->table = table;
    return SC_OK;
}

sc_status sc_codec_find(const void **out, sc_image_format format, sc_error *error) {
    codec_module *module = module_of(format);
    *out = NULL;
    if (!module)
        return sc_error_set(error, SC_ERROR_ARGUMENT, "codec: %s has no module", sc_image_format_name(format));
    pthread_mutex_lock(&lock);
    sc_status status = module->table ? SC_OK : load(module, error);
    *out = module->table;
    pthread_mutex_unlock(&lock);
    return status;
}

sc_codec_input sc_codec_input_of(const sc_image_bytes *bytes) {
    return (sc_codec_input){.bytes = bytes,
                            .length = bytes->data ? bytes->length : (size_t)bytes->file->size,
                            .read = sc_image_bytes_read,
                            .alloc = sc_memory_alloc,
                            .release = sc_memory_free};
}
