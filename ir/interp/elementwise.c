/* elementwise.c - reference kernels of elementwise ops, reductions and composites. */
#include "ir/interp/ref.h"
#include <math.h>

/* ---- elementwise: one expression of the operands a, b, c per op ---- */

typedef double Elementwise(double a, double b, double c, const Ref *r);
#define EW(name, expression)                                                                                 \
  static double ew_##name(double a, double b, double c, const Ref *r) {                                      \
    (void)a, (void)b, (void)c, (void)r;                                                                      \
    return expression;                                                                                       \
  }

/* f32 to i32 truncates; what no i32 can hold becomes the nearest that can, NaN becomes 0. */
static double truncated(double a) {
  return isnan(a) ? 0 : a > INT32_MAX ? INT32_MAX : a < INT32_MIN ? INT32_MIN : trunc(a);
}

/* Two roundings, as a square root and a division of floats have. */
static double rsqrt_of(double a, InterpMode mode) {
  return mode == INTERP_F32 ? 1 / (double)(float)sqrt(a) : 1 / sqrt(a);
}

/* NaN where one is; a of equal ones. */
static double larger(double a, double b) { return isnan(a) || isnan(b) ? NAN : b > a ? b : a; }
static double smaller(double a, double b) { return -larger(-a, -b); }

EW(neg, -a)
EW(abs, fabs(a))
EW(exp, exp(a))
EW(log, log(a))
EW(sqrt, sqrt(a))
EW(rsqrt, rsqrt_of(a, r->mode))
EW(floor, floor(a))
EW(cos, cos(a))
EW(sin, sin(a))
EW(sigmoid, a >= 0 ? 1 / (1 + exp(-a)) : exp(a) / (1 + exp(a)))
EW(tanh, tanh(a))
EW(relu, larger(a, 0))
EW(leaky, a > 0 ? a : r->value * a)
EW(powc, pow(a, r->value))
EW(cast, r->type.dt == I32 ? truncated(a) : a)
EW(stop, a)
EW(add, a + b)
EW(sub, a - b)
EW(mul, a *b)
EW(div, a / b)
EW(min, smaller(a, b))
EW(max, larger(a, b))
EW(lt, a < b)
EW(le, a <= b)
EW(eq, a == b)
EW(select, a != 0 ? b : c)

static Elementwise *const expression_of[OP_COUNT] = {
#define CASE_LEAF(name)
#define CASE_EW(name) [OP_##name] = ew_##name,
#define CASE_RED(name)
#define CASE_COMP(name)
#define CASE_CON(name)
#define CASE_MOVE(name)
#define CASE_META(name)
#define OP(name, min_in, max_in, attrs, cls, ...) CASE_##cls(name)
#include "ir/ops.def"
};

void ref_elementwise(double *out, const Ref *r) {
  bool whole[3] = {false}; /* the operand needs no broadcasting */
  for (int k = 0; k < r->nin; k++) whole[k] = shape_eq(r->in_type[k], r->type);
  for (int64_t i = 0; i < type_count(r->type); i++) {
    double v[3] = {0};
    for (int k = 0; k < r->nin; k++) v[k] = r->in[k][whole[k] ? i : broadcast_at(r->in_type[k], r->type, i)];
    out[i] = expression_of[r->op](v[0], v[1], v[2], r);
  }
}

/* ---- reductions: element i of the operand belongs to the result that would broadcast to it ---- */

void ref_sum(double *out, const Ref *r) {
  for (int64_t i = 0; i < type_count(r->in_type[0]); i++)
    out[broadcast_at(r->type, r->in_type[0], i)] += r->in[0][i];
}

static void extremum(double *out, const Ref *r, double sign) {
  for (int64_t i = 0; i < type_count(r->type); i++) out[i] = -sign * INFINITY;
  for (int64_t i = 0; i < type_count(r->in_type[0]); i++) {
    double *o = &out[broadcast_at(r->type, r->in_type[0], i)];
    *o = sign * larger(sign * *o, sign * r->in[0][i]);
  }
}

void ref_amax(double *out, const Ref *r) { extremum(out, r, 1); }
void ref_amin(double *out, const Ref *r) { extremum(out, r, -1); }

static void arg_extremum(double *out, const Ref *r, double sign) {
  View v = view_along(r->in_type[0], r->at->axis);
  for (int64_t o = 0; o < v.outer; o++)
    for (int64_t i = 0; i < v.inner; i++) {
      const double *x = r->in[0] + o * v.extent * v.inner + i;
      int64_t best = 0;
      for (int64_t k = 1; k < v.extent; k++)
        if (sign * x[k * v.inner] > sign * x[best * v.inner]) best = k;
      out[o * v.inner + i] = (double)best;
    }
}

void ref_argmax(double *out, const Ref *r) { arg_extremum(out, r, 1); }
void ref_argmin(double *out, const Ref *r) { arg_extremum(out, r, -1); }

/* ---- composites ---- */

static void softmax_line(double *y, const double *x, int64_t n, int64_t step, bool logarithm) {
  double max = -INFINITY, sum = 0;
  for (int64_t k = 0; k < n; k++) max = fmax(max, x[k * step]);
  for (int64_t k = 0; k < n; k++) sum += exp(x[k * step] - max);
  for (int64_t k = 0; k < n; k++)
    y[k * step] = logarithm ? x[k * step] - max - log(sum) : exp(x[k * step] - max) / sum;
}

void ref_softmax(double *out, const Ref *r) {
  View v = view_along(r->type, r->at->axis);
  for (int64_t o = 0; o < v.outer; o++)
    for (int64_t i = 0; i < v.inner; i++) {
      int64_t at = o * v.extent * v.inner + i;
      softmax_line(out + at, r->in[0] + at, v.extent, v.inner, r->op == OP_log_softmax);
    }
}

void ref_log_softmax(double *out, const Ref *r) { ref_softmax(out, r); }

void ref_batchnorm(double *y, const Ref *r) {
  const double *x = r->in[0], *gamma = r->in[1], *beta = r->in[2], *mean = r->in[3], *var = r->in[4];
  View v = view_along(r->type, 1); /* (N, C, S) */
  for (int64_t n = 0; n < v.outer; n++)
    for (int64_t c = 0; c < v.extent; c++)
      for (int64_t s = 0; s < v.inner; s++) {
        int64_t i = (n * v.extent + c) * v.inner + s;
        y[i] = (x[i] - mean[c]) / sqrt(var[c] + r->value) * gamma[c] + beta[c];
      }
}
