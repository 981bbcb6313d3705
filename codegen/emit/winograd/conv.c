/* conv.c - the launches of a Winograd convolution (winograd.h). */
#include "codegen/emit/core/epilogue.h"
#include "codegen/emit/winograd/winograd.h"
#include "codegen/util/ints.h"

enum { TASKS = 64 };

typedef struct {
  Emit *e;
  const GroupInfo *g;
  const WinoPlan *pl;
  WinoMemory mem[NETC_ISA_COUNT];
  const char *name;
} Parts;

static Build begin(const Parts *p, const char *op, const char *what) {
  return build_begin(p->e, p->g, op, "%s:%s:f32:%s:%s", what, p->name, p->pl->s.dgrad ? "bwd_d" : "fwd",
                     wino_name(p->e->arena, p->pl));
}

static WinoCode code(const Parts *p, KFn *k, int isa) {
  WinoCode c = {.pl = p->pl,
                .mem = &p->mem[isa],
                .k = k,
                .g = p->g,
                .operand = K_NONE,
                .u = K_NONE,
                .v = K_NONE,
                .m = K_NONE};
  c.tile0 = c.depth0 = k_i64(k, 0);
  return c;
}

/* ---- what is counted ---- */

static int64_t gemm_flops(const WinoPlan *pl) {
  const WinoShape *s = &pl->s;
  return 2 * wino_points(pl) * pl->tiles * s->depth_out * s->taps * s->cin * s->cout;
}

/* Each slice of the operand once. */
static int64_t input_flops(const WinoPlan *pl) {
  return wino_both_flops(&pl->wy->bt, &pl->wx->bt) * pl->tiles * (pl->s.depth_out + pl->s.taps - 1) *
         pl->s.cin;
}

static int64_t output_flops(const WinoPlan *pl) {
  return wino_both_flops(&pl->wy->at, &pl->wx->at) * pl->tiles * pl->s.depth_out * pl->s.cout;
}

static void epilogue_code(const Parts *p, Build *b, WinoCode *c) {
  const Node *nd = &p->e->fn->node[p->g->anchor];
  c->x = expr_new(p->e, p->g, b, c->k);
  c->place = (Coord){.vec = true, .vec_axis = 1, .mask = K_NONE, .domain = nd->type, .order = nd->order};
}

static KV *accumulators(const WinoMemory *m, KFn *k) {
  int most = m->b.vectors > m->b.tail_vectors ? m->b.vectors : m->b.tail_vectors;
  return tile_locals(k->arena, k, m->b.pixels * most);
}

/* Begins a loop over the parts lo..hi-1 of `all` that are the task's, `each` of them a task. */
static KV task_loop(KFn *k, int64_t all, int64_t each) {
  KV lo = k_mul(k, k_task(k), k_i64(k, each));
  return k_for(k, lo, k_min(k, k_add(k, lo, k_i64(k, each)), k_i64(k, all)), 1);
}

/* Tiles 0 .. run-1 of the block that exist. */
static KV tile_loop(const WinoCode *c) {
  KFn *k = c->k;
  KV end = k_i64(k, c->pl->run);
  if (c->pl->tiles % c->pl->run) end = k_min(k, end, k_sub(k, k_i64(k, c->pl->tiles), c->tile0));
  return k_for(k, k_i64(k, 0), end, 1);
}

static KV depth_loop(const WinoCode *c, int64_t more) {
  KFn *k = c->k;
  KV end = k_i64(k, c->pl->slab + more);
  if (c->pl->s.depth_out % c->pl->slab)
    end = k_min(k, end, k_sub(k, k_i64(k, c->pl->s.depth_out + more), c->depth0));
  return c->pl->slab + more > 1 ? k_for(k, k_i64(k, 0), end, 1) : k_i64(k, 0);
}

/* ---- shallow: a task takes blocks of tiles through all steps ---- */

static void input_block(WinoCode *c) {
  int64_t more = c->pl->s.taps - 1;
  KV slice = depth_loop(c, more), tile = tile_loop(c);
  wino_input(c, slice, tile);
  k_end(c->k);
  if (c->pl->slab + more > 1) k_end(c->k);
}

static void channel_block(WinoCode *c, KV block, bool tail) {
  KFn *k = c->k;
  const WinoMemory *m = c->mem;
  KV point = k_for(k, k_i64(k, 0), k_i64(k, wino_points(c->pl)), 1);
  KV u_at = k_add(k, k_mul(k, block, k_i64(k, m->u_block)), k_mul(k, point, k_i64(k, m->u_plane)));
  wino_product(c, point, u_at, k_mul(k, point, k_i64(k, m->m_plane)), conv_block_vectors(&m->b, tail));
  k_end(k);
  KV depth = depth_loop(c, 0), tile = tile_loop(c);
  wino_output(c, depth, tile, block, k_i64(k, 0), tail);
  k_end(k);
  if (c->pl->slab > 1) k_end(k);
}

static void shallow_kernel(const Parts *p, Build *b, int isa, KV x, KV u, int64_t each) {
  KFn *k = build_kernel(b, isa);
  WinoCode c = code(p, k, isa);
  const WinoMemory *m = c.mem;
  epilogue_code(p, b, &c);
  c.operand = x, c.u = u;
  c.v = k_scratch(k, wino_bf16(p->pl) ? K_BF16 : K_F32, wino_points(p->pl) * m->v_plane, "v");
  c.m = k_scratch(k, K_F32, m->m_block, "m");
  c.acc = accumulators(m, k);
  KV at = task_loop(k, p->pl->runs * p->pl->slabs, each);
  c.tile0 = k_mul(k, k_rem(k, at, k_i64(k, p->pl->runs)), k_i64(k, p->pl->run));
  c.depth0 = k_mul(k, k_div(k, at, k_i64(k, p->pl->runs)), k_i64(k, p->pl->slab));
  input_block(&c);
  if (m->b.full) {
    KV block = k_for(k, k_i64(k, 0), k_i64(k, m->b.full), 1);
    channel_block(&c, block, false);
    k_end(k);
  }
  if (m->b.tail_vectors) channel_block(&c, k_i64(k, m->b.full), true);
  k_end(k);
}

static void emit_shallow(const Parts *p, int x, int w) {
  const WinoPlan *pl = p->pl;
  int u = wino_transformed(p->e, p->g, pl, p->mem, w);
  Build b = begin(p, pl->s.dgrad ? "conv_dx" : "conv", "conv");
  KV operand = build_arg(&b, x, false), weights = build_arg(&b, u, false);
  const Node *nd = &p->e->fn->node[p->g->anchor];
  b.kernel.bytes = value_bytes(p->e, nd->in[0]) + 4 * wino_points(pl) * pl->s.taps * pl->s.cin * pl->s.cout;
  epilogue_args(&b, p->g);
  build_nontemporal(&b);
  b.kernel.flops = gemm_flops(pl) + input_flops(pl) + output_flops(pl);
  if (wino_bf16(pl)) b.kernel.pair_flops = gemm_flops(pl);
  b.kernel.work = 2 * node_macs(p->e->fn, nd);
  int64_t blocks = pl->runs * pl->slabs, each = ceil_div(blocks, TASKS);
  EACH_ISA (isa, &b) shallow_kernel(p, &b, isa, operand, weights, each);
  build_end(&b, ceil_div(blocks, each));
}

/* ---- deep: three launches ---- */

static void emit_inputs(const Parts *p, int x, int v) {
  const WinoPlan *pl = p->pl;
  int64_t rows = wino_v_rows(pl), each = ceil_div(rows, TASKS);
  Build b = begin(p, "pack", "wino_x");
  build_arg(&b, x, false);
  build_arg(&b, v, true);
  EACH_ISA (isa, &b) {
    KFn *k = build_kernel(&b, isa);
    WinoCode c = code(p, k, isa);
    c.operand = 0, c.v = 1;
    KV row = task_loop(k, rows, each);
    wino_input(&c, k_div(k, row, k_i64(k, pl->run)), k_rem(k, row, k_i64(k, pl->run)));
    k_end(k);
  }
  b.kernel.flops = input_flops(pl);
  b.kernel.work = 0;
  b.kernel.bytes =
      value_bytes(p->e, p->e->fn->node[p->g->anchor].in[0]) + 4 * wino_points(pl) * rows * pl->s.cin;
  build_end(&b, ceil_div(rows, each));
}

/* The points of one row, for one block of channels. */
static void products_of_row(WinoCode *c, KV row, KV block, bool tail) {
  KFn *k = c->k;
  KV j = k_for(k, k_i64(k, 0), k_i64(k, c->pl->wx->n), 1),
     point = k_add(k, k_mul(k, row, k_i64(k, c->pl->wx->n)), j);
  KV m_at = k_add(k, k_mul(k, block, k_i64(k, c->mem->m_block)), k_mul(k, point, k_i64(k, c->mem->m_plane)));
  wino_product(c, point, k_mul(k, j, k_i64(k, c->mem->u_plane)), m_at, conv_block_vectors(&c->mem->b, tail));
  k_end(k);
}

static int64_t products_tasks(const Parts *p, int isa) { return p->mem[isa].b.blocks * p->pl->wy->n; }

/* Of `launched` tasks, as many as the set needs that has most, the first ones are those that this set does not need: tasks are
 * handed out in ever smaller portions, and the smallest should be work. */
static void products_kernel(const Parts *p, Build *b, int isa, int64_t launched) {
  KFn *k = build_kernel(b, isa);
  WinoCode c = code(p, k, isa);
  const WinoMemory *m = c.mem;
  int64_t n = p->pl->wy->n;
  WinoWeights w = wino_weights_in(p->pl, m, 1);
  c.v = 0, c.m = 2;
  c.u = k_scratch(k, K_F32, p->pl->wx->n * m->u_plane, "u");
  c.acc = accumulators(m, k);
  KV number = k_sub(k, k_task(k), k_i64(k, launched - products_tasks(p, isa)));
  k_if(k, k_le(k, k_i64(k, 0), number));
  KV block = k_div(k, number, k_i64(k, n)), row = k_rem(k, number, k_i64(k, n));
  wino_weights_row(k, p->pl, m, &w, block, row, c.u);
  if (m->b.full) {
    if (m->b.tail_vectors) k_if(k, k_lt(k, block, k_i64(k, m->b.full)));
    products_of_row(&c, row, block, false);
    if (m->b.tail_vectors) k_else(k);
  }
  if (m->b.tail_vectors) products_of_row(&c, row, block, true);
  if (m->b.full && m->b.tail_vectors) k_end(k);
  k_end(k);
}

static void emit_products(const Parts *p, int v, int w, int m) {
  const WinoPlan *pl = p->pl;
  const WinoShape *s = &pl->s;
  Build b = begin(p, s->dgrad ? "conv_dx" : "conv", "conv");
  build_arg(&b, v, false);
  build_arg(&b, w, false);
  build_arg(&b, m, true);
  int64_t tasks = 0, weights = s->taps * s->cin * s->cout, points = wino_points(pl);
  EACH_ISA (isa, &b) tasks = max64(tasks, products_tasks(p, isa));
  EACH_ISA (isa, &b) products_kernel(p, &b, isa, tasks);
  b.kernel.flops = gemm_flops(pl) + wino_both_flops(&pl->wy->g, &pl->wx->g) * weights;
  if (wino_bf16(pl)) b.kernel.pair_flops = gemm_flops(pl);
  b.kernel.work = 2 * node_macs(p->e->fn, &p->e->fn->node[p->g->anchor]);
  b.kernel.bytes =
      4 * (points * (wino_v_rows(pl) * s->cin + wino_m_rows(pl) * s->cout) + WINO_TAPS * WINO_TAPS * weights);
  build_end(&b, tasks);
}

static void results_kernel(const Parts *p, Build *b, int isa, int64_t rows, int64_t each) {
  KFn *k = build_kernel(b, isa);
  WinoCode c = code(p, k, isa);
  const WinoMemory *m = c.mem;
  epilogue_code(p, b, &c);
  c.m = 0;
  KV row = task_loop(k, rows, each), run = k_i64(k, p->pl->run), depth = k_div(k, row, run),
     tile = k_rem(k, row, run);
  if (m->b.full) {
    KV block = k_for(k, k_i64(k, 0), k_i64(k, m->b.full), 1);
    wino_output(&c, depth, tile, block, k_mul(k, block, k_i64(k, m->m_block)), false);
    k_end(k);
  }
  if (m->b.tail_vectors)
    wino_output(&c, depth, tile, k_i64(k, m->b.full), k_i64(k, m->b.full * m->m_block), true);
  k_end(k);
}

static void emit_results(const Parts *p, int m) {
  const WinoPlan *pl = p->pl;
  int64_t rows = wino_m_rows(pl), each = ceil_div(rows, TASKS);
  Build b = begin(p, "conv_out", "wino_y");
  build_arg(&b, m, false);
  epilogue_args(&b, p->g);
  build_nontemporal(&b);
  EACH_ISA (isa, &b) results_kernel(p, &b, isa, rows, each);
  b.kernel.flops = output_flops(pl);
  b.kernel.work = 0;
  b.kernel.bytes += 4 * wino_points(pl) * rows * pl->s.cout;
  build_end(&b, ceil_div(rows, each));
}

static void emit_deep(const Parts *p, int x, int w) {
  int64_t v_most = 0, m_most = 0;
  for (int isa = 0; isa < NETC_ISA_COUNT; isa++) {
    v_most = max64(v_most, wino_points(p->pl) * p->mem[isa].v_plane);
    m_most = max64(m_most, p->mem[isa].b.blocks * p->mem[isa].m_block);
  }
  int v = wino_bf16(p->pl) ? emit_bf16_workspace(p->e, v_most) : emit_workspace(p->e, 4 * v_most);
  int m = emit_workspace(p->e, 4 * m_most);
  emit_inputs(p, x, v);
  emit_products(p, v, w, m);
  emit_results(p, m);
}

bool emit_wino(Emit *e, const GroupInfo *g, const WinoPlan *pl) {
  const Node *nd = &e->fn->node[g->anchor];
  ConvShape s;
  if (!conv_shape(e->fn, nd, &s, e->err)) return false;
  Parts p = {.e = e, .g = g, .pl = pl, .name = conv_describe(e->arena, &s)};
  for (int isa = 0; isa < NETC_ISA_COUNT; isa++) p.mem[isa] = wino_memory(pl, isa);
  int x = emit_buffer(e, nd->in[0]), w = wino_panels(e, g, pl, p.mem, emit_buffer(e, nd->in[1]));
  if (pl->deep) emit_deep(&p, x, w);
  else emit_shallow(&p, x, w);
  return !e->err[0];
}
