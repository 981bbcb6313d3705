/* gauss.h - a normal number from two uniform ones, by Box and Muller: sqrt(-2 log u) cos(2 pi w), u in (0,1]
 * and w in [0,1) multiples of 2^-24. In doubles, of additions, multiplications, one division and one square
 * root in a fixed order, none of them fused: the runtime (this function) and generated code
 * (codegen/module/device_batch.c) give the same bits. Within 1e-13 of the exact value, relatively. */
#ifndef NETC_GAUSS_H
#define NETC_GAUSS_H
#include <math.h>
#include <stdint.h>
#include <string.h>

/* log m = 2 atanh s = 2 s (1 + z (1/3 + z (1/5 + ..))), s = (m-1)/(m+1), z = s^2 < 0.0295, m in [sqrt 1/2,
 * sqrt 2). */
enum { GAUSS_LOG = 8, GAUSS_TURN = 7, GAUSS_ONE = 0x3F800000, GAUSS_ROOT_HALF = 0x3F3504F3 };
static const double gauss_log[GAUSS_LOG] = {1.0 / 3,  1.0 / 5,  1.0 / 7,  1.0 / 9,
                                            1.0 / 11, 1.0 / 13, 1.0 / 15, 1.0 / 17};
static const double gauss_ln2 = 0.69314718055994531, gauss_two_pi = 6.283185307179586;
/* cos t = 1 + z (..), sin t = t + t z (..), z = t^2, |t| <= pi/4. */
static const double gauss_cos[GAUSS_TURN] = {
    -1.0 / 2, 1.0 / 24, -1.0 / 720, 1.0 / 40320, -1.0 / 3628800, 1.0 / 479001600.0, -1.0 / 87178291200.0};
static const double gauss_sin[GAUSS_TURN] = {
    -1.0 / 6,        1.0 / 120,          -1.0 / 5040,           1.0 / 362880,
    -1.0 / 39916800, 1.0 / 6227020800.0, -1.0 / 1307674368000.0};

static inline double gauss_horner(double z, const double *c, int n) {
  double p = c[n - 1];
  for (int i = n - 2; i >= 0; i--) p = p * z + c[i];
  return p;
}

static inline double gauss_of(double u, double w) {
  float f = (float)u, mantissa; /* exact */
  uint32_t bits;
  memcpy(&bits, &f, sizeof bits);
  bits += GAUSS_ONE - GAUSS_ROOT_HALF;
  double n = (double)((int32_t)(bits >> 23) - 127);
  bits = (bits & 0x007FFFFF) + GAUSS_ROOT_HALF;
  memcpy(&mantissa, &bits, sizeof bits);
  double g = (double)mantissa - 1, s = g / (g + 2), z = s * s;
  double half = s + s * (z * gauss_horner(z, gauss_log, GAUSS_LOG));
  double radius = sqrt(-2 * (n * gauss_ln2 + (half + half)));
  int32_t quarter = (int32_t)(w * 4 + 0.5); /* rounded down, as it is not negative */
  double q = (double)quarter, t = (w - q * 0.25) * gauss_two_pi, y = t * t;
  double c = 1 + y * gauss_horner(y, gauss_cos, GAUSS_TURN);
  double d = t + t * (y * gauss_horner(y, gauss_sin, GAUSS_TURN));
  double v = quarter & 1 ? d : c; /* of cos(t + quarter pi/2) */
  return radius * ((quarter + 1) & 2 ? -v : v);
}
#endif
