/* How results of convolutions are rounded. */
#ifndef SC_KERNEL_ACCURACY_H
#define SC_KERNEL_ACCURACY_H

typedef enum sc_accuracy {
    SC_ACCURACY_FAST,  /* by transforms where they pay: large neighbours may add their rounding to small numbers */
    SC_ACCURACY_EXACT, /* plain sums: each number has its own rounding, equal windows give equal numbers, to the bit,
                          and a sum of zeros is zero */
} sc_accuracy;

#endif
