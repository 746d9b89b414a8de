#include "attribution/rule_schema.h"

#include <stddef.h>

/* Choices are stored as int. */
_Static_assert(sizeof(sc_rule_kind) == sizeof(int) && sizeof(sc_gate) == sizeof(int), "enums are as wide as int");
_Static_assert(sizeof(sc_gated_mode) == sizeof(int) && sizeof(sc_relevance_mode) == sizeof(int), "as wide as int");

#define DEFAULT_EPSILON 1e-6

/* ---- the terms of rules for linear maps ---- */

static const sc_field modifier_fields[] = {
    {.name = "plain", .type = SC_FIELD_NUMBER, .offset = offsetof(sc_modifier, plain)},
    {.name = "positive", .type = SC_FIELD_NUMBER, .offset = offsetof(sc_modifier, positive)},
    {.name = "negative", .type = SC_FIELD_NUMBER, .offset = offsetof(sc_modifier, negative)},
    {.name = "square", .type = SC_FIELD_NUMBER, .offset = offsetof(sc_modifier, square)},
    {.name = "constant", .type = SC_FIELD_NUMBER, .offset = offsetof(sc_modifier, constant)},
    {.name = "constants",
     .type = SC_FIELD_NUMBERS,
     .offset = offsetof(sc_modifier, constants),
     .max_count = SC_MAX_CONSTANTS,
     .count_offset = offsetof(sc_modifier, constant_count)},
    {.name = NULL},
};
static const sc_record modifier_record = {modifier_fields, sizeof(sc_modifier)};

static const sc_field term_fields[] = {
    {.name = "input", .type = SC_FIELD_RECORD, .offset = offsetof(sc_term, input), .record = &modifier_record},
    {.name = "weight", .type = SC_FIELD_RECORD, .offset = offsetof(sc_term, weight), .record = &modifier_record},
    {.name = "bias", .type = SC_FIELD_RECORD, .offset = offsetof(sc_term, bias), .record = &modifier_record},
    {.name = NULL},
};
static const sc_record term_record = {term_fields, sizeof(sc_term)};

static const char *const gates[] = {"all", "positive", "negative", NULL};

static const sc_field group_fields[] = {
    {.name = "coefficient", .type = SC_FIELD_NUMBER, .offset = offsetof(sc_group, coefficient), .fallback = 1},
    {.name = "gate", .type = SC_FIELD_CHOICE, .offset = offsetof(sc_group, gate), .choices = gates},
    {.name = "epsilon",
     .type = SC_FIELD_NUMBER,
     .offset = offsetof(sc_group, epsilon),
     .fallback = DEFAULT_EPSILON,
     .non_negative = true},
    {.name = "terms",
     .type = SC_FIELD_LIST,
     .offset = offsetof(sc_group, terms),
     .record = &term_record,
     .max_count = SC_MAX_TERMS,
     .count_offset = offsetof(sc_group, term_count)},
    {.name = NULL},
};
static const sc_record group_record = {group_fields, sizeof(sc_group)};

/* ---- rules ---- */

static const char *const kinds[] = {"linear", "gated", "contrastive", "gradient", "pass", "own", "block", NULL};
static const char *const no_modes[] = {"default", NULL};
static const char *const gated_modes[] = {"default", "package", NULL};
static const char *const own_modes[] = {"default", "ties", "detach_weights", "pass", NULL};

#define KIND                                                                                                           \
    { .name = "kind", .type = SC_FIELD_CHOICE, .offset = offsetof(sc_rule, kind), .choices = kinds }
#define GROUPS                                                                                                         \
    {                                                                                                                  \
        .name = "groups", .type = SC_FIELD_LIST, .offset = offsetof(sc_rule, groups), .record = &group_record,         \
        .max_count = SC_MAX_GROUPS, .count_offset = offsetof(sc_rule, group_count)                                     \
    }
#define NO_GROUPS(kind)                                                                                                \
    { .name = "groups", .type = SC_FIELD_ABSENT, .absent_expected = "none for a rule of kind '" kind "'" }
#define MODE(names)                                                                                                    \
    { .name = "mode", .type = SC_FIELD_CHOICE, .offset = offsetof(sc_rule, mode), .choices = names }
#define GATED_MODE                                                                                                     \
    { .name = "mode", .type = SC_FIELD_CHOICE, .offset = offsetof(sc_rule, gated), .choices = gated_modes }
#define OWN_MODE                                                                                                       \
    {                                                                                                                  \
        .name = "mode", .type = SC_FIELD_CHOICE, .offset = offsetof(sc_rule, mode), .choices = own_modes,              \
        .old_name = "hold", .new_name = "detach_weights"                                                               \
    }
#define EPSILON                                                                                                        \
    {                                                                                                                  \
        .name = "epsilon", .type = SC_FIELD_NUMBER, .offset = offsetof(sc_rule, epsilon), .fallback = DEFAULT_EPSILON, \
        .non_negative = true                                                                                           \
    }
#define NAME                                                                                                           \
    { .name = "name", .type = SC_FIELD_TEXT }

#define END                                                                                                            \
    { .name = NULL }

static const sc_field linear_fields[] = {KIND, GROUPS, MODE(no_modes), EPSILON, NAME, END};
static const sc_field gated_fields[] = {KIND, NO_GROUPS("gated"), GATED_MODE, EPSILON, NAME, END};
static const sc_field contrastive_fields[] = {KIND, NO_GROUPS("contrastive"), MODE(no_modes), EPSILON, NAME, END};
static const sc_field gradient_fields[] = {KIND, NO_GROUPS("gradient"), MODE(no_modes), EPSILON, NAME, END};
static const sc_field pass_fields[] = {KIND, NO_GROUPS("pass"), MODE(no_modes), EPSILON, NAME, END};
static const sc_field own_fields[] = {KIND, NO_GROUPS("own"), OWN_MODE, EPSILON, NAME, END};
static const sc_field block_fields[] = {KIND, NO_GROUPS("block"), MODE(no_modes), EPSILON, NAME, END};

const sc_field sc_rule_kind_field = KIND;

const sc_record *sc_rule_schema(sc_rule_kind kind) {
    static const sc_record schemas[] = {
        [SC_RULE_LINEAR] = {linear_fields, sizeof(sc_rule)},
        [SC_RULE_GATED] = {gated_fields, sizeof(sc_rule)},
        [SC_RULE_CONTRASTIVE] = {contrastive_fields, sizeof(sc_rule)},
        [SC_RULE_GRADIENT] = {gradient_fields, sizeof(sc_rule)},
        [SC_RULE_PASS] = {pass_fields, sizeof(sc_rule)},
        [SC_RULE_OWN] = {own_fields, sizeof(sc_rule)},
        [SC_RULE_BLOCK] = {block_fields, sizeof(sc_rule)},
    };
    return &schemas[kind];
}
