/* Time, for measuring how long something takes. */
#ifndef SC_BASE_CLOCK_H
#define SC_BASE_CLOCK_H

/* Seconds since an arbitrary moment; never falls. */
double sc_clock_seconds(void);

#endif
