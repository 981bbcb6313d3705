/* worse.h - the greatest deviation, and NaN is worse than any. fmax leaves NaN out, and then no bound can
 * fail. */
#ifndef NETC_WORSE_H
#define NETC_WORSE_H
#include <math.h>

static inline double worse(double most, double deviation) {
  double d = fabs(deviation);
  return d <= most ? most : isnan(d) ? INFINITY : d;
}
#endif
