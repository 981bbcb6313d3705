/* depthwise.c - G_DEPTHWISE: depthwise convolutions with a kernel per sample and channel, forward and adjoint in x,
 * with an elementwise epilogue. They are bound by memory: each reads its operands once from memory, rows
 * again from cache. The adjoint in the kernels is wgrad.c. */
#include "codegen/emit/depthwise/row.h"

typedef struct {
  const GroupInfo *g;
  const Node *anchor;
  const DwRow *row;
  Expr *x;
} Epilogue;

static void epilogue(void *ctx, KFn *k, const DwAt *at, KV v) {
  (void)k;
  const Epilogue *ep = ctx;
  const DwShape *d = ep->row->shape;
  Coord p = {.vec = at->vec,
             .vec_axis = 1,
             .mask = at->mask,
             .domain = ep->anchor->type,
             .order = ep->anchor->order};
  p.coord[0] = ep->row->n;
  p.coord[1] = at->channel;
  for (int i = 0; i < d->ns - 1; i++) p.coord[2 + i] = ep->row->outer[i];
  p.coord[1 + d->ns] = at->pixel;
  expr_at(ep->x, &p);
  expr_epilogue(ep->x, ep->g, v);
}

/* A task is a few neighbouring rows, so that what they share of the source stays in cache. */
bool emit_depthwise(Emit *e, const GroupInfo *g) {
  const Node *anchor = &e->fn->node[g->anchor];
  DwShape d = dw_shape(e, g, g->anchor);
  if (!dw_supported(e, &d)) return false;
  char dims[96], win[96];
  Build b = build_begin(e, g, "dw", "dwconv:%s_%s:f32:%s%s", dims_text(e->fn->node[d.x].type, dims),
                        window_text(d.ns, d.size, d.stride, d.pad, win), d.dx ? "bwd_x" : "fwd",
                        d.s >= 0 ? ":gate" : "");
  args_of_group(&b);
  build_nontemporal(&b);
  int64_t rows = anchor->type.dim[0] * rows_of(&d);
  int64_t per = rows / e->machine->tasks > 0 ? rows / e->machine->tasks : 1;
  EACH_ISA (isa, &b) {
    KFn *k = build_kernel(&b, isa);
    k_opaque_counters(k);
    DwRow r = {.shape = &d,
               .x = arg_of(&b, d.x),
               .w = arg_of(&b, d.w),
               .s = d.s >= 0 ? arg_of(&b, d.s) : K_NONE,
               .prefetch = true};
    Epilogue ep = {g, anchor, &r, expr_new(e, g, &b, k)};
    r.channels = dw_slice(&d);
    dw_slices(k, &d, &r.channel0);
    KV first = k_mul(k, k_task(k), k_i64(k, per));
    KV row = k_for(k, first, k_min(k, k_add(k, first, k_i64(k, per)), k_i64(k, rows)), 1);
    row_place(k, &d, row, &r);
    dw_row(k, &r, 0, d.out[d.ns - 1], epilogue, &ep);
    k_end(k);
    dw_slices_end(k, &d);
  }
  b.kernel.flops = 2 * node_macs_inside(e->fn, anchor);
  b.kernel.work = 2 * node_macs(e->fn, anchor);
  b.kernel.bytes = group_bytes(e, g);
  build_end(&b, (rows + per - 1) / per);
  return true;
}
