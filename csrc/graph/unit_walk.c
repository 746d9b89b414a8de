#include "graph/unit_walk.h"

#include "base/memory.h"

#include <string.h>

typedef struct place_list {
    sc_unit_place *places; /* [capacity]; those at a node are neighbours */
    size_t count, capacity;
    size_t *first; /* [nodes]: the number of the node's first place, from 1; 0 where it has none */
} place_list;

static bool maps_equal(const sc_unit_map *a, const sc_unit_map *b) {
    return a->first == b->first && a->stride == b->stride && a->count == b->count && a->step == b->step &&
           a->last_axis == b->last_axis;
}

/* The places at a node, or NULL; *more gets how many. `start` counts as the producer's. */
static const sc_unit_place *places_at(const place_list *list, const sc_unit_place *start, size_t node, size_t *more) {
    *more = 1;
    if (node == start->node)
        return start;
    *more = 0;
    if (list->first[node] == 0)
        return NULL;
    size_t first = list->first[node] - 1;
    while (first + *more < list->count && list->places[first + *more].node == node)
        ++*more;
    return &list->places[first];
}

/* Whether all inputs have nothing but the same units at these places, so that their sum is the units' own. */
static bool all_inputs_have(const place_list *list, const sc_unit_place *start, const sc_node *node,
                            const sc_unit_map *units) {
    for (int k = 0; k < node->input_count; k++) {
        size_t count, found = 0;
        const sc_unit_place *places = places_at(list, start, node->input[k], &count);
        for (size_t i = 0; i < count; i++)
            found += !places[i].units.shared && maps_equal(&places[i].units, units);
        if (found != 1 || count != 1)
            return false;
    }
    return true;
}

static sc_status add_place(place_list *list, sc_unit_place place, sc_error *error) {
    for (size_t i = list->count; i-- > 0 && list->places[i].node == place.node;)
        if (maps_equal(&list->places[i].units, &place.units)) {
            list->places[i].units.shared |= place.units.shared;
            return SC_OK;
        }
    if (list->count == list->capacity) {
        void *memory;
        size_t wanted = 2 * list->capacity + 16;
        SC_TRY(sc_memory_alloc(&memory, wanted, sizeof place, error));
        if (list->count)
            memcpy(memory, list->places, list->count * sizeof place);
        sc_memory_free(list->places);
        list->places = memory;
        list->capacity = wanted;
    }
    list->places[list->count++] = place;
    if (list->first[place.node] == 0)
        list->first[place.node] = list->count;
    return SC_OK;
}

/* Follows the units from input k into node i. */
static sc_status enter(place_list *list, const sc_unit_place *start, const sc_graph *graph, size_t i, int k,
                       sc_error *error) {
    const sc_node *node = &graph->nodes[i];
    const sc_shape *shapes[SC_MAX_INPUTS];
    size_t count;
    const sc_unit_place *places = places_at(list, start, node->input[k], &count);
    size_t first = places && places != start ? (size_t)(places - list->places) : 0;
    for (int input = 0; input < node->input_count; input++)
        shapes[input] = &graph->nodes[node->input[input]].shape;
    for (size_t p = 0; places && p < count; p++) { /* the list may move while it grows */
        sc_unit_place place = places == start ? *start : list->places[first + p];
        place.from = node->input[k];
        place.node = i;
        if (node->op->move_units)
            node->op->move_units(&place.units, shapes, k);
        else if (node->op->channels != SC_CHANNELS_KEEP)
            continue;
        else if (node->input_count > 1)
            place.units.shared |= !all_inputs_have(list, start, node, &place.units);
        place.units.last_axis &= node->shape.ndim > 1;
        SC_TRY(add_place(list, place, error));
    }
    return SC_OK;
}

sc_status sc_unit_walk(sc_unit_place **out, size_t *count, const sc_graph *graph, size_t producer, sc_error *error) {
    place_list list = {0};
    void *memory;
    const sc_unit_map own = {
        .stride = 1,
        .count = 1,
        .step = 1,
        .last_axis = graph->nodes[producer].op->unit_axis != 0 && graph->nodes[producer].shape.ndim > 1,
    };
    const sc_unit_place start = {.node = producer, .from = producer, .units = own};
    *out = NULL;
    sc_status status = sc_memory_calloc(&memory, graph->node_count, sizeof *list.first, error);
    list.first = memory;
    for (size_t i = producer + 1; i < graph->node_count && status == SC_OK; i++)
        for (int k = 0; k < graph->nodes[i].input_count && status == SC_OK; k++)
            status = enter(&list, &start, graph, i, k, error);
    sc_memory_free(list.first);
    if (status != SC_OK) {
        sc_memory_free(list.places);
        return status;
    }
    *out = list.places;
    *count = list.count;
    return SC_OK;
}
