#include "io/strided.h"

#include "base/interrupt.h"
#include "base/memory.h"
#include "io/file_stream.h"

#include <inttypes.h>
#include <string.h>

enum {
    WINDOW = 1 << 15,       /* elements that are buffered at a time */
    SPARSE = 16,            /* at most so many are read for one that is wanted: no file makes us read it for ever */
    MAX_OVERLAP = 16 << 20, /* bytes that are buffered at once where strides lead back and forth */
};

/* A dimension of more than one element. */
typedef struct axis {
    size_t size;
    uint64_t stride; /* in the storage, in elements */
    size_t step;     /* in the tensor, in elements */
} axis;

/* How the storage is traversed: from wide strides to narrow ones, so that it leads from front to back. */
typedef struct traversal {
    axis axes[SC_MAX_DIMS];
    int count;
    uint64_t last;  /* the last element that the view touches */
    uint64_t dense; /* elements, from any place on, of which the traversal takes a good part before it leaps on */
    bool in_order;  /* the order is that of the tensor, without holes */
    bool forward;   /* it never leads back */
} traversal;

/* A view while its elements are gathered, through a part of the storage that is buffered at a time. */
typedef struct gather_state {
    const sc_file *file;
    const sc_strided *view;
    const traversal *walk;
    unsigned char *out;
    size_t size;                       /* bytes of an element in the tensor */
    unsigned char *stored, *converted; /* owned: the part as it lies in the file, and as the tensor holds it */
    uint64_t start;                    /* of the part, in elements */
    size_t count, capacity;
} gather_state;

static sc_status fail(const sc_file *file, const char *what, sc_error *error) {
    return sc_error_set(error, SC_ERROR_FORMAT, "'%s': %s", file->path, what);
}

static sc_status find_last(traversal *out, const sc_file *file, const sc_strided *view, sc_error *error) {
    static const char outside[] = "the view is out of bounds of its storage";
    uint64_t available = (view->last - view->first) / sc_element_size(view->element);
    if (view->offset >= available)
        return fail(file, outside, error);
    out->last = view->offset;
    for (int i = 0; i < out->count; i++) {
        uint64_t steps = out->axes[i].size - 1, stride = out->axes[i].stride;
        if (stride > 0 && steps > (available - 1 - out->last) / stride)
            return fail(file, outside, error);
        out->last += steps * stride;
    }
    return SC_OK;
}

/* For views of at least one element. */
static sc_status find_traversal(traversal *out, const sc_file *file, const sc_strided *view, sc_error *error) {
    size_t step = 1, taken = 1;
    *out = (traversal){.in_order = true, .forward = true, .dense = 1};
    for (int d = view->shape.ndim - 1; d >= 0; d--) {
        axis next = {view->shape.size[d], view->stride[d], step};
        if (next.size == 1)
            continue;
        out->in_order = out->in_order && next.stride == step;
        step *= next.size;
        int at = out->count++;
        for (; at > 0 && out->axes[at - 1].stride < next.stride; at--)
            out->axes[at] = out->axes[at - 1];
        out->axes[at] = next;
    }
    SC_TRY(find_last(out, file, view, error));
    uint64_t reach = 0; /* of the narrower axes; find_last has seen to it that it fits */
    bool dense = true;
    for (int i = out->count - 1; i >= 0; i--) {
        const axis *outer = &out->axes[i];
        out->forward = out->forward && outer->stride >= reach;
        reach += (outer->size - 1) * outer->stride;
        taken *= outer->size; /* sc_shape_init has seen to it that it fits */
        dense = dense && reach / taken < SPARSE;
        out->dense = dense ? reach + 1 : out->dense;
    }
    return SC_OK;
}

/* Buffers the elements from `start` on. */
static sc_status load(gather_state *g, uint64_t start, sc_error *error) {
    size_t size = sc_element_size(g->view->element);
    g->start = start;
    g->count = g->walk->last - start < g->capacity ? (size_t)(g->walk->last - start) + 1 : g->capacity;
    SC_TRY(sc_interrupt_check(error)); /* an element at a time is slow */
    SC_TRY(sc_file_read(g->file, g->view->first + start * size, g->stored, g->count * size, error));
    if (!sc_element_convert(g->converted, g->stored, g->count, g->view->element, g->view->big_endian))
        return fail(g->file, "data: expected whole numbers below 2^63, got a larger one", error);
    return SC_OK;
}

/* out[i * step] = in[i * stride] for elements of `size` bytes. */
static void copy(unsigned char *out, size_t step, const unsigned char *in, size_t stride, size_t count, size_t size) {
    if (size == 4) /* copies of a known size are single instructions */
        for (size_t i = 0; i < count; i++)
            memcpy(out + i * step * 4, in + i * stride * 4, 4);
    else if (size == 8)
        for (size_t i = 0; i < count; i++)
            memcpy(out + i * step * 8, in + i * stride * 8, 8);
    else
        for (size_t i = 0; i < count; i++)
            memcpy(out + i * step * size, in + i * stride * size, size);
}

/* The elements along the narrowest axis: from element `at` of the storage to element `to` of the tensor and on. */
static sc_status gather_run(gather_state *g, const axis *run, uint64_t at, size_t to, sc_error *error) {
    for (size_t done = 0, count; done < run->size; done += count, at += count * run->stride) {
        if (at < g->start || at - g->start >= g->count)
            SC_TRY(load(g, at, error));
        size_t from = (size_t)(at - g->start);
        count = run->size - done;
        if (run->stride > 0 && (g->count - 1 - from) / run->stride < count - 1)
            count = (size_t)((g->count - 1 - from) / run->stride) + 1;
        copy(g->out + (to + done * run->step) * g->size, run->step, g->converted + from * g->size, (size_t)run->stride,
             count, g->size);
    }
    return SC_OK;
}

static sc_status gather(gather_state *g, sc_error *error) {
    static const axis single = {1, 0, 1};
    const traversal *walk = g->walk;
    const axis *run = walk->count ? &walk->axes[walk->count - 1] : &single;
    size_t index[SC_MAX_DIMS] = {0}, to = 0;
    uint64_t at = g->view->offset;
    for (int i = 0; i >= 0;) {
        SC_TRY(gather_run(g, run, at, to, error));
        for (i = walk->count - 2; i >= 0; i--) { /* on to the next run */
            const axis *outer = &walk->axes[i];
            at += outer->stride;
            to += outer->step;
            if (++index[i] < outer->size)
                break;
            at -= outer->stride * outer->size;
            to -= outer->step * outer->size;
            index[i] = 0;
        }
    }
    return SC_OK;
}

static sc_status read_scattered(const sc_tensor *out, const traversal *walk, const sc_file *file,
                                const sc_strided *view, sc_error *error) {
    size_t stored = sc_element_size(view->element), native = sc_dtype_size(out->dtype);
    gather_state g = {.file = file, .view = view, .walk = walk, .out = sc_tensor_data(out), .size = native};
    uint64_t span = walk->last - view->offset + 1;
    if (!walk->forward && span > MAX_OVERLAP / (stored > native ? stored : native))
        return fail(file, "the view's strides overlap over more than 16 MiB", error);
    g.capacity = !walk->forward ? (size_t)span : walk->dense < WINDOW ? (size_t)walk->dense : WINDOW;
    void *memory = NULL;
    sc_status status = sc_memory_alloc(&memory, g.capacity, stored, error);
    g.stored = memory;
    if (status == SC_OK)
        status = sc_memory_alloc(&memory, g.capacity, native, error);
    g.converted = status == SC_OK ? memory : NULL;
    if (status == SC_OK)
        status = load(&g, view->offset, error);
    if (status == SC_OK)
        status = gather(&g, error);
    sc_memory_free(g.stored);
    sc_memory_free(g.converted);
    return status;
}

/* Elements in the tensor's order, without holes. */
static sc_status read_in_order(sc_tensor *out, const sc_file *file, const sc_strided *view, sc_error *error) {
    sc_file_stream stream;
    size_t size = sc_element_size(view->element), bytes = sc_shape_numel(&view->shape) * size;
    sc_file_stream_init(&stream, file, view->first + view->offset * size, bytes);
    stream.checked = view->checked;
    SC_TRY(sc_element_read(out, &stream.base, view->element, view->big_endian, &view->shape, error));
    if (view->checked && stream.crc != view->crc) {
        sc_tensor_release(out);
        return sc_error_set(error, SC_ERROR_FORMAT,
                            "'%s': its checksum is wrong: expected %08" PRIx32 ", got %08" PRIx32, file->path,
                            view->crc, stream.crc);
    }
    return SC_OK;
}

sc_status sc_strided_read(sc_tensor *out, const sc_file *file, const sc_strided *view, sc_error *error) {
    traversal walk;
    if (view->first > view->last || view->last > file->size)
        return fail(file, "the storage is out of bounds", error);
    if (sc_shape_numel(&view->shape) == 0)
        return sc_tensor_create(out, sc_element_dtype(view->element), &view->shape, error);
    SC_TRY(find_traversal(&walk, file, view, error));
    if (walk.in_order)
        return read_in_order(out, file, view, error);
    if (view->checked)
        return sc_error_set(error, SC_ERROR_ARGUMENT,
                            "'%s': a checksum requires a contiguous view of the whole storage", file->path);
    SC_TRY(sc_tensor_create(out, sc_element_dtype(view->element), &view->shape, error));
    sc_status status = read_scattered(out, &walk, file, view, error);
    if (status != SC_OK)
        sc_tensor_release(out);
    return status;
}
