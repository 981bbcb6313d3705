/* builtin_train.c - functions of training: optimisers, and networks that follow others. */
#include "frontend/eval/optimiser.h"

static Value bi_ema(Eval *c, const Ast *at, Value *arg) {
  double alpha;
  bool buffers = false;
  if (arg[0].kind != V_INST) return eval_fail(c, at, "ema follows a network, this is %s", kind_str(arg[0]));
  Instance *of = arg[0].u.inst;
  if (!of->name) return eval_fail(c, at, "ema: give the network a name first");
  if (of->average_of) return eval_fail(c, at, "ema: %s is an average itself", of->name);
  if (c->frame)
    return eval_fail(c, at, "networks are declared at the top level of the file, as NAME = ema(..)");
  if (!arg_num(c, at, "alpha", arg[1], &alpha) ||
      (arg_given(arg[2]) && !arg_bool(c, at, "buffers", arg[2], &buffers)))
    return v_poison();
  if (alpha < 0 || alpha > 1) return eval_fail(c, at, "ema: alpha must lie in [0,1], it is %g", alpha);
  Instance *inst = arena_alloc(c->arena, sizeof *inst);
  *inst = (Instance){.def = of->def,
                     .config = of->config,
                     .nconfig = of->nconfig,
                     .average_of = of,
                     .alpha = alpha,
                     .buffers = buffers,
                     .net = -1,
                     .next = c->instances};
  c->instances = inst;
  return (Value){V_INST, {.inst = inst}};
}

const Builtin builtins_train[] = {
#define OPTIMISER(name, params, ...) {#name, params, false, make_optimiser},
#include "frontend/eval/optimiser.def"
#undef OPTIMISER
    {"ema", "network alpha buffers?", false, bi_ema},
    {NULL, NULL, false, NULL},
};
