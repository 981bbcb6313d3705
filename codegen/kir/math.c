/* math.c - elementary functions of f32 as kernel arithmetic, for scalars and vectors alike.
 *
 * Polynomials interpolate the function (less its leading terms, which stay exact) at the Chebyshev nodes of
 * the reduced interval; the relative error of each is below 2^-25 of the result, what remains is rounding.
 * Every path is free of branches. Measured: exp, log, sin, cos <= 2 ulp, tanh, sigmoid <= 4 ulp
 * (tests/codegen/kir/test_math.c). */
#include <math.h>
#include <string.h>
#include "codegen/kir/kir.h"
#include "codegen/kir/internal.h"

static KV f(KFn *k, double v) { return k_f32(k, v); }
static KV i(KFn *k, int32_t v) { return k_i32(k, v); }
static KV bits(KFn *k, KV x) { return k_bitcast(k, K_I32, x); }
static KV from_bits(KFn *k, KV x) { return k_bitcast(k, K_F32, x); }
static KV shl(KFn *k, KV x, int n) { return k_bin(k, K_shl, x, i(k, n)); }
static KV shr(KFn *k, KV x, int n) { return k_bin(k, K_shr, x, i(k, n)); }
static KV or_(KFn *k, KV a, KV b) { return k_bin(k, K_or, a, b); }
static const int32_t sign_bit = INT32_MIN;

/* c[0] + c[1] x + .. + c[n-1] x^(n-1) */
static KV horner(KFn *k, KV x, const double *c, int n) {
  KV p = f(k, c[n - 1]);
  for (int j = n - 2; j >= 0; j--) p = k_fma(k, p, x, f(k, c[j]));
  return p;
}

/* e^x = 2^n e^r, n = round(x log2 e), |r| <= ln 2 / 2. Adding 1.5 2^23 rounds to an integer and leaves it in
 * the low bits. 2^n is applied in two factors so that results below 2^-126 are rounded once and those above
 * the range become infinite; the clamp keeps both factors normal, and NaN passes through it. */
static KV expand_exp(KFn *k, KV x) {
  static const double p[] = {0.5, 0.166665768946066, 0.0416665544984137, 0.008363194882419041,
                             0.0013926203361634337};
  const double ln2_high = 0x1.62ep-1,
               ln2_low = 0x1.0bfbe8p-15; /* the high part has 12 bits: n * high is exact */
  x = k_max(k, f(k, -104), k_min(k, f(k, 89), x));
  KV magic = f(k, 0x1.8p23);
  KV t = k_fma(k, x, f(k, 1.44269504088896341), magic);
  KV n = k_sub(k, t, magic);
  KV r = k_fma(k, n, f(k, -ln2_low), k_fma(k, n, f(k, -ln2_high), x));
  KV e = k_add(k, k_fma(k, k_mul(k, r, r), horner(k, r, p, 5), r), f(k, 1));
  KV whole = k_sub(k, bits(k, t), i(k, 0x4B400000));
  KV half = k_sub(k, shr(k, k_add(k, whole, i(k, 512)), 1), i(k, 256)); /* whole / 2, rounded down */
  KV a = from_bits(k, shl(k, k_add(k, half, i(k, 127)), 23));
  KV b = from_bits(k, shl(k, k_add(k, k_sub(k, whole, half), i(k, 127)), 23));
  return k_mul(k, k_mul(k, e, a), b);
}

/* log(2^n m) = n ln 2 + log m, m in [sqrt 1/2, sqrt 2). With g = m - 1 and s = g / (2 + g):
 * log m = 2 atanh s = 2 s + s R(s^2), and 2 s = g - s g, so log m = g - s (g - R): the leading term is exact.
 */
static KV expand_log(KFn *k, KV x) {
  static const double r[] = {0.666666665519636, 0.40000123906130036, 0.2855058703764105, 0.23336811005171268};
  const double ln2_high = 0x1.62ep-1, ln2_low = 0x1.0bfbe8p-15;
  KV tiny = k_lt(k, x, f(k, 0x1p-126));
  KV scaled = k_select(k, tiny, k_mul(k, x, f(k, 0x1p23)), x);
  KV bias = k_select(k, tiny, i(k, 127 + 23), i(k, 127));
  const int32_t one = 0x3F800000, root_half = 0x3F3504F3;
  KV ix = k_add(k, bits(k, scaled), i(k, one - root_half));
  KV n = k_cast(k, K_F32, k_sub(k, shr(k, ix, 23), bias));
  KV m = from_bits(k, k_add(k, k_and(k, ix, i(k, 0x007FFFFF)), i(k, root_half)));
  KV g = k_sub(k, m, f(k, 1));
  KV s = k_div(k, g, k_add(k, g, f(k, 2)));
  KV z = k_mul(k, s, s);
  KV inner = k_sub(k, g, k_mul(k, z, horner(k, z, r, 4)));
  KV low = k_fma(k, n, f(k, -ln2_low), k_mul(k, s, inner));
  KV y = k_fma(k, n, f(k, ln2_high), k_sub(k, g, low));
  y = k_select(k, k_lt(k, x, f(k, INFINITY)), y, x); /* +inf and NaN stay */
  y = k_select(k, k_lt(k, x, f(k, 0)), f(k, NAN), y);
  return k_select(k, k_eq(k, x, f(k, 0)), f(k, -INFINITY), y);
}

/* Odd polynomial below 5/8, else 1 - 2 / (e^2|x| + 1) with the sign of x; NaN fails the comparison and passes
 * through exp. */
static KV expand_tanh(KFn *k, KV x) {
  static const double p[] = {-0.3333333317127580,  0.1333330342585789,    -0.05395922855611955,
                             0.021768666325116613, -0.008343119638547832, 0.0022918094207610654};
  KV ax = k_un(k, K_abs, x), z = k_mul(k, x, x);
  KV small = k_fma(k, k_mul(k, x, z), horner(k, z, p, 6), x);
  KV e = expand_exp(k, k_add(k, ax, ax));
  KV big = k_sub(k, f(k, 1), k_div(k, f(k, 2), k_add(k, e, f(k, 1))));
  KV sign = k_and(k, bits(k, x), i(k, sign_bit));
  return k_select(k, k_lt(k, ax, f(k, 0.625)), small, from_bits(k, or_(k, bits(k, big), sign)));
}

/* z = e^-|x| never overflows: 1 / (1 + z) for x >= 0, z / (1 + z) below. */
static KV expand_sigmoid(KFn *k, KV x) {
  KV z = expand_exp(k, k_un(k, K_neg, k_un(k, K_abs, x)));
  KV top = k_select(k, k_lt(k, x, f(k, 0)), z, f(k, 1));
  return k_div(k, top, k_add(k, z, f(k, 1)));
}

/* sin and cos of r, |r| <= pi/4. */
static KV sin_core(KFn *k, KV r) {
  static const double p[] = {-0.16666664656312208, 0.00833274710466453, -0.0001958763909873762};
  KV z = k_mul(k, r, r);
  return k_fma(k, k_mul(k, r, z), horner(k, z, p, 3), r);
}
static KV cos_core(KFn *k, KV r) {
  static const double p[] = {0.04166666465348879, -0.001388830186756237, 2.454768977246003e-05};
  KV z = k_mul(k, r, r);
  return k_fma(k, k_mul(k, z, z), horner(k, z, p, 3), k_fma(k, z, f(k, -0.5), f(k, 1)));
}
/* sin of (r + q pi/2) */
static KV sin_quadrant(KFn *k, KV r, KV q) {
  KV odd = k_eq(k, k_and(k, q, i(k, 1)), i(k, 1));
  KV v = k_select(k, odd, cos_core(k, r), sin_core(k, r));
  return from_bits(k, k_bin(k, K_xor, bits(k, v), shl(k, k_and(k, q, i(k, 2)), 30)));
}

static KV round_f64(KFn *k, KV x) { return k_un(k, K_floor, k_add(k, x, k_f64(k, 0.5))); }

/* x = r + q pi/2 for any finite x. 2/pi is cut into pieces of 29 bits, so that a float (24 bits) times a
 * piece is exact in a double (53). Of each product only the fraction and the integer modulo 4 matter, and
 * taking those off is exact too; only the final sum rounds, at 2^-53, while no float is nearer than 2^-31 to
 * a multiple of pi/2 without being 0. */
static KV reduce(KFn *k, KV x, KV *quadrant) {
  static const double piece[] = {0x1.45F306Cp-1,   0x1.C9C882Ap-29,  0x1.4FE13AAp-59, 0x1.E8FA9A6p-87,
                                 0x1.DC0DB62p-116, 0x1.2B32788p-145, 0x1.C820FF2p-175};
  KV wide = k_cast(k, K_F64, x), sum = k_f64(k, 0), turns = k_f64(k, 0);
  for (int j = 0; j < 7; j++) {
    KV p = k_mul(k, wide, k_f64(k, piece[j]));
    KV n = round_f64(k, p);
    KV four = k_mul(k, k_f64(k, 4), k_un(k, K_floor, k_mul(k, n, k_f64(k, 0.25))));
    sum = k_add(k, sum, k_sub(k, p, n));
    turns = k_add(k, turns, k_sub(k, n, four));
  }
  KV n = round_f64(k, sum);
  *quadrant = k_cast(k, K_I32, k_add(k, turns, n));
  return k_cast(k, K_F32, k_mul(k, k_sub(k, sum, n), k_f64(k, 1.57079632679489662)));
}

static KV expand_sin(KFn *k, KV x, int ahead) {
  KV finite = k_lt(k, k_un(k, K_abs, x), f(k, INFINITY)), q;
  KV r = reduce(k, k_select(k, finite, x, f(k, 0)), &q);
  return k_select(k, finite, sin_quadrant(k, r, k_add(k, q, i(k, ahead))),
                  k_sub(k, x, x)); /* inf - inf = NaN */
}

/* With u a multiple of 2^-24 the reduction u = r + q/4 is exact. */
KV math_cos2pi(KFn *k, KV u) {
  KV q = k_un(k, K_floor, k_fma(k, u, f(k, 4), f(k, 0.5)));
  KV r = k_mul(k, k_fma(k, q, f(k, -0.25), u), f(k, 6.28318530717958648));
  return sin_quadrant(k, r, k_add(k, k_cast(k, K_I32, q), i(k, 1)));
}

static bool expand_one(KFn *k, KOp op, KV x, KV *out) {
  switch (op) {
  case K_exp: *out = expand_exp(k, x); return true;
  case K_log: *out = expand_log(k, x); return true;
  case K_tanh: *out = expand_tanh(k, x); return true;
  case K_sigmoid: *out = expand_sigmoid(k, x); return true;
  case K_sin: *out = expand_sin(k, x, 0); return true;
  case K_cos: *out = expand_sin(k, x, 1); return true;
  default: return false;
  }
}

KFn *math_expand(Arena *a, const KFn *k) {
  KFn *out = k_new(a, k->name, k->lanes);
  out->nontemporal = k->nontemporal;
  out->opaque = k->opaque;
  out->nregs = k->nregs;
  out->warps = k->warps;
  out->may_alias = k->may_alias;
  out->nargs = k->nargs;
  out->nparams = k->nparams;
  memcpy(out->err, k->err, sizeof out->err);
  KV *map = arena_alloc(a, ((size_t)k->n + 1) * sizeof *map);
  for (int v = 0; v < k->n; v++) {
    KIns ins = k->ins[v];
    for (int o = 0; o < 4; o++)
      if (ins.in[o] >= 0) ins.in[o] = map[ins.in[o]];
    if (!expand_one(out, ins.op, ins.in[0], &map[v])) map[v] = kir_append(out, &ins);
  }
  return out;
}
