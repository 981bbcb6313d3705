/* wgrad.c - G_WGRAD by Winograd's F(4,3) (wgrad.h).
 *
 * A task goes over its blocks of tiles: both operands are transformed into scratch, then 36 products are added to dU,
 * which is scratch too. G^T dU G goes to the task's slice and part of dW; several parts are added by a second launch.
 * Tiles are read in an order that no hardware foresees, while the products leave memory alone: between them the pixels
 * of the next block are prefetched. Where channels are so many that many tasks would transform the same tiles, and
 * these are few, two launches before transform them once (WinoWgrad.shared).
 */
#include "codegen/emit/core/sum_parts.h"
#include "codegen/emit/winograd/wgrad.h"
#include "codegen/util/ints.h"

enum { N = WINO_MAX_N };

typedef struct {
  const WinoWgrad *p;
  KFn *k;
  ConvBlock b; /* b.pixels: channels of x in a tile of registers */
  WinoSide x, dy;
  WinoBlock block, ahead;    /* ahead: the next block of the task */
  KV dw, du, part_at, *acc;  /* part_at: element of dw where the part starts */
  KV fresh;                  /* is this the task's first block? K_NONE: its only one */
  int64_t rows, du_point;    /* channels of x in dU; elements of dU from a point to the next */
  int64_t fetch_x, fetch_dy; /* rows of pixels that are fetched after each piece */
} Code;

/* ---- products ---- */

/* dU's piece at element `at`: what this block adds. What there is so far is read last, so that nothing waits for it. */
static void piece_store(const Code *c, int channels, int vectors, KV at) {
  KFn *k = c->k;
  for (int first = 1; first >= 0; first--) {
    if (c->fresh == K_NONE && !first) break;
    if (c->fresh != K_NONE && first) k_if(k, c->fresh);
    if (!first) k_else(k);
    for (int i = 0; i < channels * vectors; i++) {
      KV to = k_add(k, at, k_i64(k, i / vectors * c->dy.width + i % vectors * k->lanes));
      KV v = k_get(k, c->acc[i]);
      k_store(k, c->du, to, first ? v : k_add(k, k_load(k, c->du, to, true), v));
    }
  }
  if (c->fresh != K_NONE) k_end(k);
}

/* Where the product of one tap and point finds its first tile, and its sums. */
typedef struct {
  KV x, dy, du;
} At;

/* Channels cin.. of x times `vectors` vectors of channels of dy from col on. */
static void piece(const Code *c, const At *at, KV cin, int channels, KV col, int vectors) {
  KFn *k = c->k;
  MicroTile mt = {.k = k,
                  .a = c->x.z,
                  .b = c->dy.z,
                  .ap = 1,
                  .am = c->x.width,
                  .bm = c->dy.width,
                  .pairs = c->x.pairs,
                  .vectors = vectors,
                  .mask = K_NONE,
                  .unroll = 4,
                  .acc = c->acc};
  tile_zero(k, c->acc, channels * vectors);
  tile_fma(&mt, 0, channels, k_add(k, at->x, cin), k_add(k, at->dy, col),
           k_mul(k, c->block.planes, wino_side_depth(&c->x, c->block.tiles)));
  piece_store(c, channels, vectors, k_add(k, k_add(k, at->du, col), k_mul(k, cin, k_i64(k, c->dy.width))));
  if (c->fetch_x) wino_side_fetch(&c->x, &c->ahead, c->fetch_x);
  if (c->fetch_dy) wino_side_fetch(&c->dy, &c->ahead, c->fetch_dy);
}

static void block_pieces(const Code *c, const At *at, KV block, bool tail) {
  KFn *k = c->k;
  int64_t full = c->rows - c->rows % c->b.pixels;
  int vectors = conv_block_vectors(&c->b, tail);
  KV col = k_mul(k, block, k_i64(k, c->b.vectors * c->b.lanes));
  if (full) {
    KV cin = k_for(k, k_i64(k, 0), k_i64(k, full), c->b.pixels);
    piece(c, at, cin, c->b.pixels, col, vectors);
    k_end(k);
  }
  if (c->rows > full) piece(c, at, k_i64(k, full), (int)(c->rows - full), col, vectors);
}

static void products(const Code *c) {
  KFn *k = c->k;
  KV tap = k_for(k, k_i64(k, 0), k_i64(k, c->p->taps), 1);
  KV point = k_for(k, k_i64(k, 0), k_i64(k, WINO_POINTS), 1);
  KV plane = k_mul(k, k_mul(k, tap, wino_side_depth(&c->x, c->block.tiles)), k_i64(k, c->x.width));
  At at = {.x = k_add(k, k_add(k, c->x.base, k_mul(k, point, k_i64(k, c->x.point_size))), plane),
           .dy = k_add(k, c->dy.base, k_mul(k, point, k_i64(k, c->dy.point_size))),
           .du = k_mul(k, k_add(k, k_mul(k, tap, k_i64(k, WINO_POINTS)), point), k_i64(k, c->du_point))};
  if (c->b.full) {
    KV block = k_for(k, k_i64(k, 0), k_i64(k, c->b.full), 1);
    block_pieces(c, &at, block, false);
    k_end(k);
  }
  if (c->b.tail_vectors) block_pieces(c, &at, k_i64(k, c->b.full), true);
  k_end(k);
  k_end(k);
}

/* The block after this one, if the task has it, is fetched while the products run. */
static void prefetch_next(Code *c, KV next, KV end) {
  KFn *k = c->k;
  int64_t pieces = c->p->taps * WINO_POINTS * c->b.blocks * ceil_div(c->rows, c->b.pixels);
  c->ahead = wino_block(k, c->p, next);
  c->ahead.tiles = k_select(k, k_lt(k, next, end), c->ahead.tiles, k_i64(k, 0));
  c->fetch_x = ceil_div(wino_side_rows(&c->x), pieces);
  c->fetch_dy = ceil_div(wino_side_rows(&c->dy), pieces);
  k_set(k, c->x.next, k_i64(k, 0));
  k_set(k, c->dy.next, k_i64(k, 0));
}

/* ---- dW = G^T dU G ---- */

/* A vector of channels of dy, for one channel of x: dU's 36 points, and where dW's 9 taps go. */
typedef struct {
  const Code *c;
  KV from, to, mask;
} Result;

static KV get_point(void *of, int i, int j) {
  const Result *r = of;
  KFn *k = r->c->k;
  return k_load(k, r->c->du, k_add(k, r->from, k_i64(k, (i * N + j) * r->c->du_point)), true);
}

static void put_tap(void *of, int i, int j, KV v) {
  const Result *r = of;
  KFn *k = r->c->k;
  KV at = k_add(k, r->to, k_i64(k, (i * WINO_TAPS + j) * r->c->p->s.cin * r->c->p->s.cout));
  if (r->mask == K_NONE) k_store(k, r->c->dw, at, v);
  else k_store_masked(k, r->c->dw, at, v, r->mask);
}

static void finish(const Code *c) {
  KFn *k = c->k;
  const ConvShape *s = &c->p->s;
  WinoMatrix gt = wino_transposed(&c->p->w->g);
  KV tap = k_for(k, k_i64(k, 0), k_i64(k, c->p->taps), 1);
  KV left = k_sub(k, k_i64(k, s->cin), c->x.channel0);
  KV cin = k_for(k, k_i64(k, 0), k_min(k, k_i64(k, c->rows), left), 1);
  KV o = k_for(k, k_i64(k, 0), k_i64(k, c->dy.width), k->lanes);
  Result r = {.c = c, .mask = c->dy.masks ? wino_side_mask(&c->dy, o) : K_NONE};
  r.from = k_add(k, k_mul(k, cin, k_i64(k, c->dy.width)), o);
  r.from = k_add(k, r.from, k_mul(k, tap, k_i64(k, WINO_POINTS * c->du_point)));
  KV row = k_mul(k, tap, k_i64(k, WINO_TAPS * WINO_TAPS * s->cin));
  row = k_add(k, row, k_add(k, c->x.channel0, cin));
  r.to = k_add(k, k_mul(k, row, k_i64(k, s->cout)), k_add(k, c->dy.channel0, o));
  r.to = k_add(k, r.to, c->part_at);
  wino_both_sides(k, &gt, &gt, &(WinoEnds){get_point, &r, put_tap, &r});
  k_end(k);
  k_end(k);
  k_end(k);
}

/* ---- kernels ---- */

static int64_t slices(const WinoWgrad *p) { return p->slices_cin * p->slices_cout; }

/* The operands of the task's slices. shared: x and dy are their transforms. */
static void place_sides(Code *c, bool pairs, KV x, KV dy) {
  const WinoWgrad *p = c->p;
  KFn *k = c->k;
  KV slice = k_rem(k, k_task(k), k_i64(k, slices(p))), cout = k_i64(k, p->slices_cout);
  c->x = wino_side(k, p, true, pairs, x, p->shared ? x : K_NONE);
  c->dy = wino_side(k, p, false, pairs, dy, p->shared ? dy : K_NONE);
  c->x.channel0 = k_mul(k, k_div(k, slice, cout), k_i64(k, p->slice_cin));
  c->dy.channel0 = k_mul(k, k_rem(k, slice, cout), k_i64(k, p->slice_cout));
  c->x.next = k_local(k, K_I64, false, "next_x");
  c->dy.next = k_local(k, K_I64, false, "next_dy");
}

/* The block's operands, transformed here or before. */
static void block_sides(Code *c, KV number) {
  const WinoWgrad *p = c->p;
  KFn *k = c->k;
  c->block = wino_block(k, p, number);
  if (!p->shared) {
    wino_side_transform(&c->x, &c->block);
    wino_side_transform(&c->dy, &c->block);
    return;
  }
  KV slice = k_rem(k, k_task(k), k_i64(k, slices(p))), cout = k_i64(k, p->slices_cout);
  KV x = k_add(k, k_mul(k, number, k_i64(k, p->slices_cin)), k_div(k, slice, cout));
  KV dy = k_add(k, k_mul(k, number, cout), k_rem(k, slice, cout));
  c->x.base = k_mul(k, x, k_i64(k, wino_side_elements(&c->x)));
  c->dy.base = k_mul(k, dy, k_i64(k, wino_side_elements(&c->dy)));
}

static void product_kernel(Build *b, const WinoWgrad *p, int isa, KV x, KV dy, KV dw) {
  KFn *k = build_kernel(b, isa);
  Code c = {.p = p, .k = k, .dw = dw, .fresh = K_NONE, .rows = p->slice_cin};
  place_sides(&c, wino_wgrad_pairs(p, isa), x, dy);
  c.b = conv_block(&c.rows, 1, c.dy.width, 1, machine_host.isa[isa].lanes, machine_host.isa[isa].nregs);
  c.acc = tile_locals(k->arena, k, c.b.pixels * (int)max64(c.b.vectors, c.b.tail_vectors));
  enum { LINE = 16 };
  c.du_point = ceil_div(c.rows * c.dy.width, 2 * LINE) * 2 * LINE + LINE;
  c.du = k_scratch(k, K_F32, p->taps * WINO_POINTS * c.du_point, "du");
  KV part = k_div(k, k_task(k), k_i64(k, slices(p)));
  c.part_at = k_mul(k, part, k_i64(k, conv_taps(&p->s) * p->s.cin * p->s.cout));
  KV blocks = k_i64(k, p->blocks), parts = k_i64(k, p->parts), one = k_i64(k, 1);
  KV first = k_div(k, k_mul(k, part, blocks), parts);
  KV end = k_div(k, k_mul(k, k_add(k, part, one), blocks), parts);
  bool several = p->blocks > p->parts;
  KV number = several ? k_for(k, first, end, 1) : first;
  if (several) c.fresh = k_eq(k, number, first);
  block_sides(&c, number);
  if (several && !p->shared) prefetch_next(&c, k_add(k, number, one), end);
  products(&c);
  if (several) k_end(k);
  finish(&c);
}

static void product_launch(Emit *e, const GroupInfo *g, const WinoWgrad *p, int x, int dy, int dw) {
  const Node *nd = &e->fn->node[g->anchor];
  Build b = build_begin(e, g, "conv_dw", "conv:%s:f32:bwd_w:wino%d", conv_describe(e->arena, &p->s), p->w->m);
  KV dy_arg = build_arg(&b, dy, false), x_arg = build_arg(&b, x, false), dw_arg = build_arg(&b, dw, true);
  b.kernel.work = 2 * node_macs(e->fn, nd);
  b.kernel.flops = wino_wgrad_product_flops(p);
  if (wino_wgrad_pairs(p, NETC_ISA_AVX512_BF16)) b.kernel.pair_flops = b.kernel.flops;
  if (!p->shared)
    b.kernel.flops += p->slices_cout * wino_wgrad_x_flops(p) + p->slices_cin * wino_wgrad_dy_flops(p);
  b.kernel.bytes = group_bytes(e, g);
  if (p->shared)
    b.kernel.bytes = e->buffer[x].bytes + (dy == x ? 0 : e->buffer[dy].bytes) + value_bytes(e, g->anchor);
  EACH_ISA (isa, &b) product_kernel(&b, p, isa, x_arg, dy_arg, dw_arg);
  build_end(&b, p->parts * slices(p));
}

/* One block of one slice. */
static void transform_kernel(Build *b, const WinoWgrad *p, bool of_x, int isa, KV src, KV z) {
  KFn *k = build_kernel(b, isa);
  WinoSide s = wino_side(k, p, of_x, wino_wgrad_pairs(p, isa), src, z);
  KV n = k_i64(k, of_x ? p->slices_cin : p->slices_cout);
  WinoBlock block = wino_block(k, p, k_div(k, k_task(k), n));
  s.channel0 = k_mul(k, k_rem(k, k_task(k), n), k_i64(k, of_x ? p->slice_cin : p->slice_cout));
  s.base = k_mul(k, k_task(k), k_i64(k, wino_side_elements(&s)));
  wino_side_transform(&s, &block);
}

/* The workspace with all of an operand's tiles. */
static int transform_launch(Emit *e, const GroupInfo *g, const WinoWgrad *p, bool of_x, int src) {
  int ws = emit_workspace(e, wino_side_bytes(p, of_x));
  Build b = build_begin(e, g, "pack", "wino_%s:%s:f32:bwd_w:wino%d", of_x ? "x" : "dy",
                        conv_describe(e->arena, &p->s), p->w->m);
  KV from = build_arg(&b, src, false), to = build_arg(&b, ws, true);
  b.kernel.flops = of_x ? wino_wgrad_x_flops(p) : wino_wgrad_dy_flops(p);
  b.kernel.work = 0;
  b.kernel.bytes = e->buffer[src].bytes + e->buffer[ws].bytes;
  EACH_ISA (isa, &b) transform_kernel(&b, p, of_x, isa, from, to);
  build_end(&b, p->blocks * (of_x ? p->slices_cin : p->slices_cout));
  return ws;
}

bool wino_wgrad(Emit *e, const GroupInfo *g, const WinoWgrad *p) {
  const Node *nd = &e->fn->node[g->anchor];
  const ConvShape *s = &p->s;
  int64_t weights = conv_taps(s) * s->cin * s->cout;
  int x = emit_buffer(e, nd->in[0]), dy = emit_buffer(e, nd->in[1]), dw = emit_buffer(e, g->anchor);
  if (p->shared) x = transform_launch(e, g, p, true, x), dy = transform_launch(e, g, p, false, dy);
  int64_t parts[NETC_ISA_COUNT];
  for (int isa = 0; isa < NETC_ISA_COUNT; isa++) parts[isa] = p->parts;
  int ws = p->parts > 1 ? emit_workspace(e, p->parts * weights * 4) : dw;
  product_launch(e, g, p, x, dy, ws);
  if (p->parts > 1) sum_parts(e, g, weights, parts, ws, dw);
  return !e->err[0];
}
