/* builtin_prepare.c - functions around the statement prepare: intensities, and where labels count. */
#include "frontend/eval/eval.h"
#include <string.h>

static Value intensity_value(Eval *c, Intensity i) {
  Intensity *kept = arena_alloc(c->arena, sizeof *kept);
  *kept = i;
  return (Value){V_INTENSITY, {.intensity = kept}};
}

static bool set_clip(Eval *c, const Ast *at, double lo, double hi, Intensity *i) {
  if (!(lo < hi))
    return eval_error(c, at, "%s: the values lie between %g and %g: the first must be less", c->who, lo, hi);
  i->clip = true, i->lo = lo, i->hi = hi;
  return true;
}

/* clip = [lo, hi]. */
static bool take_clip(Eval *c, const Ast *at, Value v, Intensity *i) {
  double lo, hi;
  if (!arg_given(v)) return true;
  if (v.kind != V_LIST || v.u.list->n != 2)
    return eval_error(c, at, "%s: clip is [lo, hi], the values to cut to, not %s", c->who, value_str(c, v));
  return arg_num(c, at, "clip", v.u.list->v[0], &lo) && arg_num(c, at, "clip", v.u.list->v[1], &hi) &&
         set_clip(c, at, lo, hi, i);
}

/* auto, zscore, nonzero, foreground, minmax: the kind is the function's name. */
static Value bi_plain(Eval *c, const Ast *at, Value *arg) {
  int kind = 0;
  while (strcmp(word_intensity[kind], c->who)) kind++;
  Intensity i = intensity_of((IntensityKind)kind);
  if (kind != INTENSITY_AUTO && !take_clip(c, at, arg[0], &i)) return v_poison();
  return intensity_value(c, i);
}

static Value bi_window(Eval *c, const Ast *at, Value *arg) {
  double lo, hi;
  Intensity i = intensity_of(INTENSITY_ZSCORE);
  if (!arg_num(c, at, "lo", arg[0], &lo) || !arg_num(c, at, "hi", arg[1], &hi) ||
      !set_clip(c, at, lo, hi, &i))
    return v_poison();
  return intensity_value(c, i);
}

static Value bi_fixed(Eval *c, const Ast *at, Value *arg) {
  Intensity i = intensity_of(INTENSITY_FIXED);
  if (!arg_num(c, at, "mean", arg[0], &i.mean) || !arg_num(c, at, "deviation", arg[1], &i.deviation) ||
      (arg_given(arg[2]) && !arg_num(c, at, "scale", arg[2], &i.scale)) || !take_clip(c, at, arg[3], &i))
    return v_poison();
  if (!(i.deviation > 0) || !(i.scale > 0))
    return eval_fail(c, at,
                     "fixed: the values are divided by scale (%g) and deviation (%g): both must be above 0",
                     i.scale, i.deviation);
  return intensity_value(c, i);
}

/* 1 where a label is one of a class; the number 1 where no label can be anything else. */
static Value bi_valid(Eval *c, const Ast *at, Value *arg) {
  if (arg[0].kind != V_TENSOR)
    return eval_fail(c, at, "valid: the label must be a tensor, it is %s", kind_str(arg[0]));
  if (!prepare_ignores(c->prog->prepare)) return v_num(1);
  return value_binary(c, at, B_GE, arg[0], v_num(0));
}

const Builtin builtins_prepare[] = {
    {"auto", "", false, bi_plain},
    {"zscore", "clip?", false, bi_plain},
    {"nonzero", "clip?", false, bi_plain},
    {"foreground", "clip?", false, bi_plain},
    {"minmax", "clip?", false, bi_plain},
    {"window", "lo hi", false, bi_window},
    {"fixed", "mean deviation scale? clip?", false, bi_fixed},
    {"valid", "label", false, bi_valid},
    {NULL, NULL, false, NULL},
};
