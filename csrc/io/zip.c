#include "io/zip.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

/* The layout is that of PKWARE's APPNOTE.TXT, 4.3. */
enum {
    END = 22,     /* bytes of the end record, without its comment */
    LOCATOR = 20, /* of the zip64 locator, which stands before it */
    END64 = 56,   /* of the zip64 end record */
    CENTRAL = 46, /* of an entry in the directory, without name, extra field and comment */
    LOCAL = 30,   /* of an entry's local header, without name and extra field */
    COMMENT = 65535,
    ZIP64_EXTRA = 1,
};

static uint16_t get16(const unsigned char *bytes) {
    return (uint16_t)(bytes[0] | bytes[1] << 8);
}

static uint32_t get32(const unsigned char *bytes) {
    return (uint32_t)get16(bytes) | (uint32_t)get16(bytes + 2) << 16;
}

static uint64_t get64(const unsigned char *bytes) {
    return (uint64_t)get32(bytes) | (uint64_t)get32(bytes + 4) << 32;
}

static sc_status fail(const sc_zip *zip, const char *what, sc_error *error) {
    return sc_error_set(error, SC_ERROR_FORMAT, "'%s': %s", zip->file.path, what);
}

static sc_status fail_entry(const sc_zip *zip, const sc_zip_entry *entry, const char *what, sc_error *error) {
    return sc_error_set(error, SC_ERROR_FORMAT, "'%s': entry '%.*s': %s", zip->file.path,
                        entry->name_length < 200 ? (int)entry->name_length : 200, entry->name, what);
}

typedef struct directory_location {
    uint64_t offset, size, count;
    uint64_t end; /* of the space it may take: where the end record begins */
} directory_location;

/* Replaces what the end record says by what the zip64 end record says. */
static sc_status find_directory64(directory_location *location, const sc_zip *zip, uint64_t end, sc_error *error) {
    unsigned char locator[LOCATOR], record[END64];
    if (end < LOCATOR)
        return SC_OK;
    SC_TRY(sc_file_read(&zip->file, end - LOCATOR, locator, LOCATOR, error));
    if (memcmp(locator, "PK\6\7", 4) != 0)
        return SC_OK;
    uint64_t offset = get64(locator + 8);
    if (offset > end - LOCATOR || end - LOCATOR - offset < END64)
        return fail(zip, "corrupt zip archive: zip64 end record out of bounds", error);
    SC_TRY(sc_file_read(&zip->file, offset, record, END64, error));
    if (memcmp(record, "PK\6\6", 4) != 0)
        return fail(zip, "corrupt zip archive: no zip64 end record", error);
    if (get32(record + 16) != 0 || get32(record + 20) != 0 || get64(record + 24) != get64(record + 32))
        return fail(zip, "multi-disk zip archives are not supported", error);
    location->count = get64(record + 32);
    location->size = get64(record + 40);
    location->offset = get64(record + 48);
    location->end = offset;
    return SC_OK;
}

static sc_status find_directory(directory_location *location, const sc_zip *zip, sc_error *error) {
    uint64_t size = zip->file.size;
    size_t length = size < END + COMMENT ? (size_t)size : END + COMMENT;
    void *memory;
    SC_TRY(sc_memory_alloc(&memory, length, 1, error));
    unsigned char *tail = memory, *end = NULL;
    sc_status status = sc_file_read(&zip->file, size - length, tail, length, error);
    if (status == SC_OK && length >= END) {
        /* the record ends with a comment that must reach just to the end of the file */
        for (size_t at = length - END + 1; at-- > 0 && !end;)
            if (memcmp(tail + at, "PK\5\6", 4) == 0 && get16(tail + at + 20) == length - END - at)
                end = tail + at;
    }
    if (status == SC_OK && !end)
        status = fail(zip, "not a zip archive, or cut short: no end record", error);
    if (status == SC_OK) {
        location->count = get16(end + 10);
        location->size = get32(end + 12);
        location->offset = get32(end + 16);
        location->end = size - length + (uint64_t)(end - tail);
        if (get16(end + 4) != get16(end + 6) || get16(end + 8) != get16(end + 10))
            status = fail(zip, "multi-disk zip archives are not supported", error);
        if (status == SC_OK &&
            (location->count == 0xffff || location->size == 0xffffffff || location->offset == 0xffffffff))
            status = find_directory64(location, zip, location->end, error);
    }
    sc_memory_free(memory);
    SC_TRY(status);
    if (location->offset > location->end || location->size > location->end - location->offset)
        return fail(zip, "corrupt zip archive: central directory out of bounds", error);
    if (location->count > location->size / CENTRAL)
        return fail(zip, "central directory too short for its number of entries", error);
    return SC_OK;
}

/* Takes the sizes that do not fit 32 bits from the zip64 extra field, where they stand in this order. */
static bool read_extra(sc_zip_entry *entry, const unsigned char *extra, size_t length) {
    uint64_t *fields[] = {&entry->size, &entry->compressed, &entry->offset};
    bool wanted = false;
    for (int i = 0; i < 3; i++)
        wanted = wanted || *fields[i] == 0xffffffff;
    while (wanted && length >= 4) {
        uint16_t id = get16(extra), size = get16(extra + 2);
        if (size > length - 4)
            return false;
        if (id == ZIP64_EXTRA) {
            const unsigned char *next = extra + 4, *end = next + size;
            for (int i = 0; i < 3; i++)
                if (*fields[i] == 0xffffffff) {
                    if (end - next < 8)
                        return false;
                    *fields[i] = get64(next);
                    next += 8;
                }
            return true;
        }
        extra += 4 + size;
        length -= 4 + (size_t)size;
    }
    return true; /* without the field, the sizes are what they say */
}

static sc_status read_directory(sc_zip *zip, const directory_location *location, sc_error *error) {
    const unsigned char *next = zip->directory, *end = next + location->size;
    for (; zip->count < location->count; zip->count++) {
        sc_zip_entry *entry = &zip->entries[zip->count];
        if (end - next < CENTRAL || memcmp(next, "PK\1\2", 4) != 0)
            return fail(zip, "corrupt central directory", error);
        size_t name = get16(next + 28), extra = get16(next + 30), comment = get16(next + 32);
        if ((size_t)(end - next) - CENTRAL < name + extra + comment)
            return fail(zip, "corrupt central directory", error);
        *entry = (sc_zip_entry){.name = (const char *)next + CENTRAL,
                                .name_length = name,
                                .offset = get32(next + 42),
                                .compressed = get32(next + 20),
                                .size = get32(next + 24),
                                .crc = get32(next + 16),
                                .method = get16(next + 10),
                                .flags = get16(next + 8)};
        if (name == 0 || memchr(entry->name, 0, name))
            return fail(zip, "central directory: an entry has no valid name", error);
        if (!read_extra(entry, next + CENTRAL + name, extra))
            return fail_entry(zip, entry, "corrupt extra field", error);
        next += CENTRAL + name + extra + comment;
    }
    return SC_OK;
}

static int compare_offsets(const void *left, const void *right) {
    const sc_zip_entry *const *a = left, *const *b = right;
    return ((*a)->offset > (*b)->offset) - ((*a)->offset < (*b)->offset);
}

static int compare_names(const void *left, const void *right) {
    const sc_zip_entry *const *a = left, *const *b = right;
    size_t common = (*a)->name_length < (*b)->name_length ? (*a)->name_length : (*b)->name_length;
    int order = memcmp((*a)->name, (*b)->name, common);
    return order ? order : ((*a)->name_length > (*b)->name_length) - ((*a)->name_length < (*b)->name_length);
}

/* Each name once, and each entry in space of its own before the directory. Leaves them sorted by name. */
static sc_status check_entries(const sc_zip *zip, sc_zip_entry **sorted, uint64_t directory, sc_error *error) {
    qsort(sorted, zip->count, sizeof *sorted, compare_names);
    for (size_t i = 1; i < zip->count; i++)
        if (compare_names(&sorted[i - 1], &sorted[i]) == 0)
            return fail_entry(zip, sorted[i], "duplicate name", error);
    qsort(sorted, zip->count, sizeof *sorted, compare_offsets);
    for (size_t i = 0; i < zip->count; i++) {
        sc_zip_entry *entry = sorted[i];
        entry->limit = i + 1 < zip->count ? sorted[i + 1]->offset : directory;
        uint64_t min_size = LOCAL + entry->name_length;
        if (entry->offset > entry->limit || entry->limit - entry->offset < min_size ||
            entry->limit - entry->offset - min_size < entry->compressed)
            return fail_entry(zip, entry, "its data overlap the next entry or are out of bounds", error);
    }
    qsort(sorted, zip->count, sizeof *sorted, compare_names);
    return SC_OK;
}

sc_status sc_zip_load(sc_zip *zip, sc_error *error) {
    directory_location location;
    void *memory;
    SC_TRY(find_directory(&location, zip, error));
    SC_TRY(sc_memory_alloc(&memory, (size_t)location.size, 1, error));
    zip->directory = memory;
    SC_TRY(sc_file_read(&zip->file, location.offset, zip->directory, (size_t)location.size, error));
    SC_TRY(sc_memory_alloc(&memory, (size_t)location.count, sizeof(sc_zip_entry), error));
    zip->entries = memory;
    SC_TRY(read_directory(zip, &location, error));
    SC_TRY(sc_memory_alloc(&memory, zip->count, sizeof(sc_zip_entry *), error));
    zip->sorted = memory;
    for (size_t i = 0; i < zip->count; i++)
        zip->sorted[i] = &zip->entries[i];
    return check_entries(zip, zip->sorted, location.offset, error);
}

bool sc_zip_is_plain(const sc_zip_entry *entry) {
    return entry->method == SC_ZIP_STORED && !(entry->flags & SC_ZIP_ENCRYPTED) && entry->size == entry->compressed;
}

const sc_zip_entry *sc_zip_find(const sc_zip *zip, const char *name, size_t length) {
    sc_zip_entry wanted = {.name = name, .name_length = length}, *key = &wanted;
    sc_zip_entry **found =
        zip->count ? bsearch(&key, zip->sorted, zip->count, sizeof *zip->sorted, compare_names) : NULL;
    return found ? *found : NULL;
}

sc_status sc_zip_locate(uint64_t *offset, const sc_zip *zip, const sc_zip_entry *entry, sc_error *error) {
    unsigned char local[LOCAL];
    SC_TRY(sc_file_read(&zip->file, entry->offset, local, LOCAL, error));
    if (memcmp(local, "PK\3\4", 4) != 0)
        return fail_entry(zip, entry, "no local header at its offset", error);
    size_t name = get16(local + 26), extra = get16(local + 28);
    uint64_t available = entry->limit - entry->offset - LOCAL;
    if (name != entry->name_length || name + extra > available || entry->compressed > available - name - extra)
        return fail_entry(zip, entry, "its local header does not match the directory", error);
    *offset = entry->offset + LOCAL + name + extra; /* the two may differ in the length of the extra field */
    return SC_OK;
}

sc_status sc_zip_open(sc_zip *out, const char *path, sc_error *error) {
    *out = (sc_zip){0};
    SC_TRY(sc_file_open(&out->file, path, error));
    sc_status status = sc_zip_load(out, error);
    if (status != SC_OK)
        sc_zip_close(out);
    return status;
}

void sc_zip_unload(sc_zip *zip) {
    sc_memory_free(zip->directory);
    sc_memory_free(zip->entries);
    sc_memory_free(zip->sorted);
    *zip = (sc_zip){.file = zip->file};
}

void sc_zip_close(sc_zip *zip) {
    sc_zip_unload(zip);
    sc_file_close(&zip->file);
}
