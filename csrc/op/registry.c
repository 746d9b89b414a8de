#include "op/op.h"

#include <string.h>

#define SC_OP(name, doc) extern const sc_op sc_op_##name;
#include "op/ops.def"
#undef SC_OP

#define SC_OP(name, doc) &sc_op_##name,
static const sc_op *const operations[] = {
#include "op/ops.def"
};
#undef SC_OP

#define SC_OP(name, doc) doc,
static const char *const docs[] = {
#include "op/ops.def"
};
#undef SC_OP

enum { COUNT = sizeof operations / sizeof operations[0] };

const sc_op *sc_op_find(const char *name) {
    for (size_t i = 0; i < COUNT; i++)
        if (strcmp(operations[i]->name, name) == 0)
            return operations[i];
    return NULL;
}

const sc_op *const *sc_op_list(size_t *count) {
    *count = COUNT;
    return operations;
}

const char *sc_op_doc(const sc_op *op) {
    for (size_t i = 0; i < COUNT; i++)
        if (operations[i] == op)
            return docs[i];
    return "";
}

void sc_op_set_flag(const sc_op *op, void *attrs, const char *name, bool value) {
    for (const sc_attr *attr = op->attrs; attr && attr->name; attr++)
        if (attr->kind == SC_ATTR_FLAG && strcmp(attr->name, name) == 0)
            *(bool *)((char *)attrs + attr->offset) = value;
}

void sc_op_default_attrs(const sc_op *op, void *attrs) {
    memset(attrs, 0, op->attrs_size);
    for (const sc_attr *attr = op->attrs; attr && attr->name; attr++) {
        void *field = (char *)attrs + attr->offset;
        size_t size = (size_t)attr->fallback;
        switch (attr->kind) {
        case SC_ATTR_SIZE:
            memcpy(field, &size, sizeof size);
            break;
        case SC_ATTR_PAIR:
            memcpy(field, (size_t[2]){size, size}, 2 * sizeof size);
            break;
        case SC_ATTR_REAL:
            memcpy(field, &attr->fallback, sizeof attr->fallback);
            break;
        case SC_ATTR_FLAG:
            *(bool *)field = attr->fallback != 0;
            break;
        case SC_ATTR_ENUM:
            *(int *)field = (int)attr->fallback;
            break;
        case SC_ATTR_SHAPE:
        case SC_ATTR_LIST:
            break;
        }
    }
}
