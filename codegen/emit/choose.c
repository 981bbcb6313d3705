/* choose.c - which algorithm a contraction takes. Tensor cores come first, where the machine has them and the
 * shape suits them; then, on the host, Winograd's convolutions, where their models promise more speed; the
 * direct loops do all else. Each algorithm says itself what it takes, and none knows of another. */
#include "codegen/emit/dybac/dybac.h"
#include "codegen/emit/tensor_core/dybac.h"
#include "codegen/emit/wgrad/wgrad.h"
#include "codegen/emit/winograd/wgrad.h"
#include "codegen/emit/winograd/winograd.h"

bool emit_conv(Emit *e, const GroupInfo *g) {
  const Node *nd = &e->fn->node[g->anchor];
  ConvShape s;
  if (!conv_shape(e->fn, nd, &s, e->err)) return false;
  if (tc_takes(e, nd, &s)) return emit_conv_tc(e, g, &s);
  WinoPlan wino;
  if (!e->machine->simt && wino_choose(e->fn, nd, &wino)) return emit_wino(e, g, &wino);
  return conv_direct(e, g, &s);
}

/* DyBAC's pointwise convolution: x is a depthwise result that is computed again. */
static bool emit_recomputed(Emit *e, const GroupInfo *g, const ConvShape *s, DwInput *input) {
  const Node *nd = &e->fn->node[g->anchor];
  DwShape d = dw_shape(e, g, nd->in[0]);
  return conv_dw_input_tc_takes(e, nd, &d) ? emit_conv_dw_input_tc(e, g, &d) : wgrad_direct(e, g, s, input);
}

bool emit_conv_dw(Emit *e, const GroupInfo *g) {
  const Node *nd = &e->fn->node[g->anchor];
  ConvShape s;
  if (!conv_shape(e->fn, nd, &s, e->err)) return false;
  DwInput input;
  bool recompute = dw_input_match(e, g, &s, &input);
  if (e->err[0]) return false;
  if (recompute) return emit_recomputed(e, g, &s, &input);
  if (tc_takes(e, nd, &s)) return emit_conv_dw_tc(e, g, &s);
  WinoDw wino;
  if (!e->machine->simt && wino_dw_choose(e->fn, nd, &s, &wino)) return emit_wino_dw(e, g, &wino);
  return wgrad_direct(e, g, &s, NULL);
}

bool emit_dwpw(Emit *e, const GroupInfo *g) {
  const Node *nd = &e->fn->node[g->anchor];
  DwShape d;
  if (!dybac_shape(e, g, &d)) return false;
  if (dwpw_tc_takes(e, &d, nd->type.dim[1], nd->at.narrow)) return emit_dwpw_tc(e, g, &d);
  return dybac_direct(e, g, &d);
}
