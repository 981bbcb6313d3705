/* emit.c - every group of a function, in order, to the emitter of its kind. */
#include "codegen/emit/core/emit.h"

static bool (*const emitter[G_KINDS])(Emit *, const GroupInfo *) = {
    [G_MAP] = emit_map,
    [G_CONV] = emit_conv,
    [G_WGRAD] = emit_wgrad,
    [G_DEPTHWISE] = emit_depthwise,
    [G_DEPTHWISE_WGRAD] = emit_depthwise_wgrad,
    [G_DYBAC] = emit_dybac,
    [G_MATMUL] = emit_matmul,
    [G_MOVE] = emit_move,
};

Emit *emit_fn_on(const Machine *machine, Arena *a, const Fn *f, Emit *share, char err[IR_ERR]) {
  Emit *e = emit_new(a, f, share);
  e->machine = machine;
  const GroupInfo *g = group_values(f);
  for (int i = 0; i < f->ngroup; i++) {
    if (emitter[g[i].kind](e, &g[i]) && !e->err[0]) continue;
    ir_error(err, "function %s, group %d (%s): %s", f->name, i, group_kind_name[g[i].kind],
             e->err[0] ? e->err : "the emitter failed without a reason");
    return NULL;
  }
  if (share) share->kernel = e->kernel, share->nkernel = e->nkernel, share->capkernel = e->capkernel;
  return e;
}

Emit *emit_fn(Arena *a, const Fn *f, Emit *share, char err[IR_ERR]) {
  return emit_fn_on(share ? share->machine : &machine_host, a, f, share, err);
}
