/* What the table of a rule may hold, as data: written here once, and read by whoever makes an sc_rule of a table. */
#ifndef SC_ATTRIBUTION_RULE_SCHEMA_H
#define SC_ATTRIBUTION_RULE_SCHEMA_H

#include "attribution/rule.h"

typedef enum sc_field_type {
    SC_FIELD_NUMBER,  /* a double, finite */
    SC_FIELD_CHOICE,  /* an enum, by the name of one of its values */
    SC_FIELD_TEXT,    /* a string that is not stored */
    SC_FIELD_RECORD,  /* a table of its own, inside */
    SC_FIELD_NUMBERS, /* an array of doubles inside, and an int that counts them */
    SC_FIELD_LIST,    /* an array of records inside, and an int that counts them */
    SC_FIELD_ABSENT,  /* must not be given */
} sc_field_type;

typedef struct sc_record sc_record;

/* One field of a table, and where it is stored in the struct that the table stands for. */
typedef struct sc_field {
    const char *name;
    sc_field_type type;
    size_t offset;               /* of the number, the enum, the record, or the first one of the list */
    double fallback;             /* (SC_FIELD_NUMBER) when not given */
    bool non_negative;           /* (SC_FIELD_NUMBER) */
    const char *const *choices;  /* (SC_FIELD_CHOICE) NULL-ended, in the enum's order; the first when not given */
    const char *old_name;        /* (SC_FIELD_CHOICE, optional) what one was called before, for a message */
    const char *new_name;        /* (with old_name) what it is called now */
    const sc_record *record;     /* (SC_FIELD_RECORD, SC_FIELD_LIST) */
    int max_count;               /* (SC_FIELD_LIST) most records; there is at least one; (SC_FIELD_NUMBERS) numbers */
    size_t count_offset;         /* (SC_FIELD_LIST, SC_FIELD_NUMBERS) of the int */
    const char *absent_expected; /* (SC_FIELD_ABSENT) what a message says is expected */
} sc_field;

/* A table, and the struct that it stands for. */
struct sc_record {
    const sc_field *fields; /* in the order in which they are looked at; the last has no name */
    size_t size;            /* of the struct */
};

/* The first field of every rule, which says what the others are. */
extern const sc_field sc_rule_kind_field;

/* The schema of rules of a kind; their fields have the same names in all kinds. */
const sc_record *sc_rule_schema(sc_rule_kind kind);

#endif
