#include "attribution/modified.h"

#include "base/memory.h"

static void compute(sc_modified *item, const sc_tensor *original) {
    item->stamp = sc_tensor_version(original);
    sc_modifier_apply(sc_tensor_real(&item->value), sc_tensor_real(original), &item->modifier,
                      sc_tensor_numel(original));
}

sc_status sc_modified_get(sc_real **out, sc_modified **list, const sc_graph *graph, const sc_node *node, int slot,
                          const sc_modifier *modifier, sc_error *error) {
    sc_tensor original = sc_node_param(graph, node, slot);
    *out = NULL;
    if (!original.storage)
        return SC_OK;
    if (sc_modifier_is_plain(modifier)) {
        *out = sc_tensor_real(&original);
        return SC_OK;
    }
    for (sc_modified *item = *list; item; item = item->next)
        if (item->node == node && item->slot == slot && sc_modifier_equal(&item->modifier, modifier)) {
            if (item->stamp != sc_tensor_version(&original)) /* it was changed since */
                compute(item, &original);
            *out = sc_tensor_real(&item->value);
            return SC_OK;
        }
    void *memory;
    SC_TRY(sc_memory_calloc(&memory, 1, sizeof(sc_modified), error));
    sc_modified *item = memory;
    sc_status status = sc_tensor_create(&item->value, SC_REAL, &original.shape, error);
    if (status != SC_OK) {
        sc_memory_free(item);
        return status;
    }
    item->node = node;
    item->slot = slot;
    item->modifier = *modifier;
    compute(item, &original);
    item->next = *list;
    *list = item;
    *out = sc_tensor_real(&item->value);
    return SC_OK;
}

void sc_modified_destroy(sc_modified *list) {
    while (list) {
        sc_modified *next = list->next;
        sc_tensor_release(&list->value);
        sc_memory_free(list);
        list = next;
    }
}
