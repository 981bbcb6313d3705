/* args.c - arguments of builtins: each check reports at the call and says what it expected. */
#include <math.h>
#include <string.h>
#include "frontend/eval/eval.h"

/* "conv: " while a builtin runs. */
static const char *who(Eval *c) { return c->who ? arena_printf(c->arena, "%s: ", c->who) : ""; }

bool arg_given(Value v) { return v.kind != V_NONE; }

bool arg_num(Eval *c, const Ast *at, const char *what, Value v, double *out) {
  if (v.kind == V_NUM) return *out = v.u.num, true;
  return eval_fail(c, at, "%s%s must be a number, it is %s", who(c), what, kind_str(v)), false;
}

bool arg_int(Eval *c, const Ast *at, const char *what, Value v, int64_t lo, int64_t hi, int64_t *out) {
  double x;
  if (!arg_num(c, at, what, v, &x)) return false;
  if (x != floor(x) || x < (double)lo || x > (double)hi)
    return eval_fail(c, at, "%s%s must be a whole number from %lld to %lld, it is %s", who(c), what,
                     (long long)lo, (long long)hi, value_str(c, v)),
           false;
  return *out = (int64_t)x, true;
}

bool arg_bool(Eval *c, const Ast *at, const char *what, Value v, bool *out) {
  if (v.kind == V_BOOL) return *out = v.u.num != 0, true;
  return eval_fail(c, at, "%s%s must be on or off, it is %s", who(c), what, kind_str(v)), false;
}

bool arg_str(Eval *c, const Ast *at, const char *what, Value v, const char **out) {
  if (v.kind == V_STR) return *out = v.u.str, true;
  return eval_fail(c, at, "%s%s must be a string, it is %s", who(c), what, kind_str(v)), false;
}

bool arg_tensor(Eval *c, const Ast *at, const char *what, Value v, int *out) {
  if (v.kind != V_TENSOR)
    return eval_fail(c, at, "%s%s must be a tensor, it is %s%s", who(c), what, kind_str(v),
                     v.kind == V_BATCH ? "; its tensors are NAME.FIELD" : ""),
           false;
  *out = value_f32(c, at, what, v);
  return *out >= 0;
}

bool not_labels(Eval *c, const Ast *at, Value x, const char *remedy) {
  char buf[96];
  if (x.kind != V_TENSOR || value_type(c, x).dt != I32) return true;
  eval_fail(c, at, "%sx is %s, as labels are; %s", who(c), type_str(value_type(c, x), buf), remedy);
  return false;
}

bool arg_spatial(Eval *c, const Ast *at, const char *what, Value v, int n, int64_t lo, int64_t *out) {
  enum { LARGEST = 1 << 20 };
  if (v.kind != V_LIST) {
    if (!arg_int(c, at, what, v, lo, LARGEST, &out[0])) return false;
    for (int i = 1; i < n; i++) out[i] = out[0];
    return true;
  }
  if (v.u.list->n != n)
    return eval_fail(c, at, "%s%s has %d entries, the tensor has %d spatial axes", who(c), what, v.u.list->n,
                     n),
           false;
  for (int i = 0; i < n; i++)
    if (!arg_int(c, at, what, v.u.list->v[i], lo, LARGEST, &out[i])) return false;
  return true;
}

bool arg_geom(Eval *c, const Ast *at, Value stride, Value pad, int n, ConvGeom *geom) {
  *geom = (ConvGeom){0};
  return arg_spatial(c, at, "stride", stride, n, 1, geom->stride) &&
         (!arg_given(pad) || arg_spatial(c, at, "pad", pad, n, 0, geom->pad));
}

bool arg_axis(Eval *c, const Ast *at, Value v, Type t, int *axis) {
  int64_t a;
  char buf[96];
  if (t.rank == 0) return eval_fail(c, at, "a tensor of rank 0 has no axes"), false;
  if (!arg_int(c, at, "axis", v, -99, 99, &a)) return false;
  if (a < -t.rank || a >= t.rank)
    return eval_fail(c, at, "axis %lld does not exist in %s", (long long)a, type_str(t, buf)), false;
  *axis = (int)(a < 0 ? a + t.rank : a);
  return true;
}

bool arg_axes(Eval *c, const Ast *at, Value v, Type t, unsigned *axes) {
  int axis;
  *axes = 0;
  if (v.kind == V_STR && !strcmp(v.u.str, "spatial")) return *axes = spatial_axes(t), true;
  if (v.kind == V_STR)
    return eval_fail(c, at, "%saxes are numbers or \"spatial\"; left out, all axes are meant", who(c)), false;
  if (v.kind != V_LIST) return arg_axis(c, at, v, t, &axis) && (*axes = 1u << axis, true);
  for (int i = 0; i < v.u.list->n; i++) {
    if (!arg_axis(c, at, v.u.list->v[i], t, &axis)) return false;
    *axes |= 1u << axis;
  }
  return true;
}

bool arg_shape(Eval *c, const Ast *at, const char *what, Value v, DType dt, Type *out) {
  enum { LARGEST = 1 << 24 };
  static const int64_t most = (int64_t)1 << 36;
  *out = (Type){.dt = dt};
  if (v.kind != V_LIST)
    return eval_fail(c, at, "%s%s must be a list of extents, it is %s", who(c), what, kind_str(v)), false;
  if (v.u.list->n > MAX_RANK)
    return eval_fail(c, at, "%s%s has %d extents, at most %d are possible", who(c), what, v.u.list->n,
                     MAX_RANK),
           false;
  const char *extent = arena_printf(c->arena, "an extent of %s", what);
  int64_t count = 1;
  for (int i = 0; i < v.u.list->n; i++) {
    if (!arg_int(c, at, extent, v.u.list->v[i], 1, LARGEST, &out->dim[i])) return false;
    out->rank++;
    if (count > most / out->dim[i])
      return eval_fail(c, at, "%s %s is too large", what, value_str(c, v)), false;
    count *= out->dim[i];
  }
  return true;
}
