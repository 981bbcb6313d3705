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
  if (tc_takes(e, nd, &s)) return tc_conv(e, g, &s);
  WinoPlan wino;
  if (!e->machine->simt && wino_choose(e->fn, nd, &wino)) return emit_wino(e, g, &wino);
  return conv_direct(e, g, &s);
}

/* DyBAC's pointwise convolution: x is a depthwise result that is computed again. */
static bool emit_recomputed(Emit *e, const GroupInfo *g, const ConvShape *s, WgradInput *input) {
  const Node *nd = &e->fn->node[g->anchor];
  DwShape d = dw_shape(e, g, nd->in[0]);
  return tc_dybac_wgrad_takes(e, nd, &d) ? tc_dybac_wgrad(e, g, &d) : wgrad_direct(e, g, s, input);
}

bool emit_wgrad(Emit *e, const GroupInfo *g) {
  const Node *nd = &e->fn->node[g->anchor];
  ConvShape s;
  if (!conv_shape(e->fn, nd, &s, e->err)) return false;
  WgradInput input;
  bool recompute = wgrad_input_match(e, g, &s, &input);
  if (e->err[0]) return false;
  if (recompute) return emit_recomputed(e, g, &s, &input);
  if (tc_takes(e, nd, &s)) return tc_wgrad(e, g, &s);
  WinoWgrad wino;
  if (!e->machine->simt && wino_wgrad_choose(e->fn, nd, &s, &wino)) return wino_wgrad(e, g, &wino);
  return wgrad_direct(e, g, &s, NULL);
}

bool emit_dybac(Emit *e, const GroupInfo *g) {
  const Node *nd = &e->fn->node[g->anchor];
  DwShape d;
  if (!dybac_shape(e, g, &d)) return false;
  if (tc_dybac_takes(e, &d, nd->type.dim[1], nd->at.bf16)) return tc_dybac(e, g, &d);
  return dybac_direct(e, g, &d);
}
