/* clock.h - a steady clock, for reports of what took how long. */
#ifndef NETC_CLOCK_H
#define NETC_CLOCK_H
#include <time.h>

/* Since some moment in the past; never goes back. */
static inline double steady_seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}
#endif
