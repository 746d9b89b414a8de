/* The element type of all arithmetic: float in the product, double in the build that the gradient checks run on. */
#ifndef SC_BASE_REAL_H
#define SC_BASE_REAL_H

#ifdef SC_REAL_IS_DOUBLE
typedef double sc_real;
#define SC_REAL_NAME "double"
#else
typedef float sc_real;
#define SC_REAL_NAME "float"
#endif

#endif
