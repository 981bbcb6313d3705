/* emit_conv_dw.c - G_CONV_DW: gradients of convolution weights,
 *
 *   dW[tap][c][o] = sum over pixels q of x[q*s + tap - p][c] * dy[q][o].
 *
 * Accumulators are a piece of dW (channels of x by channel blocks of dy) for one tap; the loop runs over
 * pixels. The pixels of the outer axes are cut into boxes whose rows of x and dy stay in cache while all taps
 * and pieces of a task run over them; between boxes a piece rests in memory. A task owns a slice of dW and a
 * part of the boxes: deep layers, whose dW has slices enough, have one part; others have several, which a
 * second launch adds in order. Boxes, slices and parts depend on the shape only, and so does the sum.
 *
 * In DyBAC x is itself dwconv(x0 [* s], w), of a pointwise convolution: it is computed box by box into
 * block-private scratch (conv_dw_input.c) and never stored.
 */
#include "conv_dw.h"

enum {
  DATA_BUDGET = 512 << 10,
  SLICE_BUDGET = 256 << 10,
  SCRATCH_BUDGET = 96 << 10,
  TASKS = 32,
  TASK_MACS = 1 << 18
};
enum { WORKSPACE_BUDGET = 16 << 20, REDUCE_ELEMENTS = 8192, MAX_OUTER = MAX_SPATIAL };

static int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t max64(int64_t a, int64_t b) { return a > b ? a : b; }
static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

/* The same for every instruction set. Outer axes: n, then the spatial axes but the innermost. */
typedef struct {
  ConvShape s;
  bool recompute; /* x is a dwconv of the group */
  int nouter;
  int64_t extent[MAX_OUTER], box[MAX_OUTER], boxes;
  int64_t slice_cin, slices_cin; /* channels of x of a task */
  int64_t parts, part_boxes;
} DwPlan;

typedef struct {
  const DwPlan *pl;
  ConvBlock b; /* b.pixels: channels of x in a tile */
  KFn *k;
  KV x, dy, dw, tail_mask, *acc;
  KV part_at;                      /* element of dw where this part's sums start */
  KV cin0;                         /* first channel of the slice */
  KV fresh;                        /* is this the task's first box? */
  KV lo[MAX_OUTER], hi[MAX_OUTER]; /* the box */
} DwCode;

/* ---- planning ---- */

/* Extents of a box: whole axes from the innermost outwards while the bytes of a row times the rows fit. */
static void plan_boxes(DwPlan *p, int64_t row_bytes, int64_t budget) {
  int64_t rows = max64(budget / row_bytes, 1);
  p->boxes = 1;
  for (int a = p->nouter - 1; a >= 0; a--) {
    int64_t n = ceil_div(p->extent[a], min64(rows, p->extent[a]));
    p->box[a] = ceil_div(p->extent[a], n);
    p->boxes *= ceil_div(p->extent[a], p->box[a]);
    rows = max64(rows / p->extent[a], 1);
  }
}

/* The largest divisor of c up to `most`; c itself when that would be much smaller. */
static int64_t slice_of(int64_t c, int64_t most) {
  int64_t d = max64(min64(c, most), 1);
  while (c % d) d--;
  return d * 4 < min64(c, most) ? c : d;
}

static DwPlan plan_dw(const ConvShape *s, bool recompute, int64_t macs) {
  DwPlan p = {.s = *s, .recompute = recompute, .nouter = s->ns};
  int last = s->ns - 1;
  p.extent[0] = s->n;
  for (int a = 1; a < p.nouter; a++) p.extent[a] = s->out[a - 1];
  int64_t taps = conv_taps(s), row = 4 * s->out[last], bytes = 4 * taps * s->cin * s->cout;
  if (recompute) {
    p.slice_cin = slice_of(s->cin, min64(SLICE_BUDGET / (4 * s->cout), max64(SCRATCH_BUDGET / row, 8)));
    plan_boxes(&p, row * p.slice_cin, SCRATCH_BUDGET);
  } else {
    p.slice_cin = slice_of(s->cin, max64(SLICE_BUDGET / (4 * taps * min64(s->cout, 64)), 1));
    plan_boxes(&p, row * s->cout + 4 * s->in[last] * s->cin, DATA_BUDGET);
  }
  p.slices_cin = s->cin / p.slice_cin;
  int64_t slices = recompute ? p.slices_cin : max64(bytes / SLICE_BUDGET, 1);
  int64_t parts = min64(ceil_div(TASKS, slices), min64(WORKSPACE_BUDGET / bytes, macs / TASK_MACS));
  parts = min64(max64(parts, 1), p.boxes);
  p.part_boxes = ceil_div(p.boxes, parts);
  p.parts = ceil_div(p.boxes, p.part_boxes);
  return p;
}

/* ---- code ---- */

/* Result coordinates that meet the operand through tap t of an axis: *lo <= i < *hi. */
static void tap_range(KFn *k, const ConvShape *s, int axis, KV t, KV *lo, KV *hi) {
  int64_t st = s->stride[axis];
  KV d = k_sub(k, k_i64(k, s->pad[axis]), t), up = k_i64(k, st - 1);
  *lo = k_max(k, k_i64(k, 0), d);
  *hi = k_add(k, d, k_i64(k, s->in[axis]));
  if (st > 1) {
    *lo = k_div(k, k_add(k, *lo, up), k_i64(k, st));
    *hi = k_div(k, k_add(k, *hi, up), k_i64(k, st));
  }
  *hi = k_min(k, *hi, k_i64(k, s->out[axis]));
}

/* A loop that is none when it would run once. */
static KV loop(KFn *k, KV lo, KV hi, bool *open) {
  int64_t a, b;
  *open = !(k_is_const(k, lo, &a) && k_is_const(k, hi, &b) && b == a + 1);
  return *open ? k_for(k, lo, hi, 1) : lo;
}

/* Rows of the box that meet x through the taps tap[0..]: x_row, dy_row count rows so far. */
static void piece_rows(const DwCode *c, const MicroTile *mt, int pixels, const KV *tap, int axis, KV x_row,
                       KV dy_row, KV x_col, KV dy_col) {
  const ConvShape *s = &c->pl->s;
  KFn *k = c->k;
  if (axis == c->pl->nouter) {
    int last = s->ns - 1;
    KV lo, hi;
    tap_range(k, s, last, tap[last], &lo, &hi);
    KV xq = k_sub(k, k_add(k, k_mul(k, lo, k_i64(k, s->stride[last])), tap[last]), k_i64(k, s->pad[last]));
    KV x_at =
        k_mul(k, k_add(k, k_mul(k, x_row, k_i64(k, s->in[last])), xq), k_i64(k, mt->am / s->stride[last]));
    KV dy_at = k_mul(k, k_add(k, k_mul(k, dy_row, k_i64(k, s->out[last])), lo), k_i64(k, s->cout));
    tile_fma(mt, 0, pixels, k_add(k, x_at, x_col), k_add(k, dy_at, dy_col), k_sub(k, hi, lo));
    return;
  }
  KV lo = c->lo[axis], hi = c->hi[axis];
  if (axis > 0) {
    KV first, end;
    tap_range(k, s, axis - 1, tap[axis - 1], &first, &end);
    lo = k_max(k, lo, first);
    hi = k_min(k, hi, end);
  }
  bool open;
  KV i = loop(k, lo, hi, &open), x_i = i;
  int64_t rows = axis ? s->in[axis - 1] : 1;
  if (c->pl->recompute) {
    x_i = k_sub(k, i, c->lo[axis]);
    rows = c->pl->box[axis];
  } else if (axis > 0) {
    x_i = k_add(k, k_mul(k, i, k_i64(k, s->stride[axis - 1])), tap[axis - 1]);
    x_i = k_sub(k, x_i, k_i64(k, s->pad[axis - 1]));
  }
  piece_rows(c, mt, pixels, tap, axis + 1, k_add(k, k_mul(k, x_row, k_i64(k, rows)), x_i),
             k_add(k, k_mul(k, dy_row, k_i64(k, c->pl->extent[axis])), i), x_col, dy_col);
  if (open) k_end(k);
}

/* One piece of dW over the box: channels cin.. (of the slice) and block, all taps. */
static void piece(const DwCode *c, KV cin, int pixels, KV block, bool tail) {
  const ConvShape *s = &c->pl->s;
  KFn *k = c->k;
  int vectors = conv_block_vectors(&c->b, tail), lanes = c->b.lanes;
  int64_t am = c->pl->recompute ? c->pl->slice_cin : s->cin * s->stride[s->ns - 1];
  MicroTile mt = {.k = k,
                  .a = c->x,
                  .b = c->dy,
                  .ap = 1,
                  .am = am,
                  .bm = s->cout,
                  .vectors = vectors,
                  .mask = tail ? c->tail_mask : K_NONE,
                  .acc = c->acc};
  KV tap[MAX_SPATIAL], number = k_i64(k, 0), col = k_mul(k, block, k_i64(k, c->b.vectors * lanes));
  bool open[MAX_SPATIAL];
  for (int a = 0; a < s->ns; a++) {
    tap[a] = loop(k, k_i64(k, 0), k_i64(k, s->k[a]), &open[a]);
    number = k_add(k, k_mul(k, number, k_i64(k, s->k[a])), tap[a]);
  }
  KV channel = k_add(k, c->cin0, cin);
  KV at = k_add(k, k_mul(k, number, k_i64(k, s->cin)), channel);
  at = k_add(k, k_add(k, k_mul(k, at, k_i64(k, s->cout)), col), c->part_at);
  k_if(k, c->fresh);
  tile_zero(k, c->acc, pixels * vectors);
  k_else(k);
  for (int i = 0; i < pixels * vectors; i++) {
    KV from = k_add(k, at, k_i64(k, i / vectors * s->cout + i % vectors * lanes));
    bool masked = mt.mask != K_NONE && i % vectors == vectors - 1;
    k_set(k, c->acc[i], masked ? k_load_masked(k, c->dw, from, mt.mask) : k_load(k, c->dw, from, true));
  }
  k_end(k);
  piece_rows(c, &mt, pixels, tap, 0, k_i64(k, 0), k_i64(k, 0), c->pl->recompute ? cin : channel, col);
  for (int i = 0; i < pixels * vectors; i++) {
    KV to = k_add(k, at, k_i64(k, i / vectors * s->cout + i % vectors * lanes)), v = k_get(k, c->acc[i]);
    if (mt.mask != K_NONE && i % vectors == vectors - 1) k_store_masked(k, c->dw, to, v, mt.mask);
    else k_store(k, c->dw, to, v);
  }
  for (int a = 0; a < s->ns; a++)
    if (open[a]) k_end(k);
}

static void block_pieces(const DwCode *c, KV block, bool tail) {
  KFn *k = c->k;
  int64_t slice = c->pl->slice_cin, full = slice - slice % c->b.pixels;
  if (full) {
    KV cin = k_for(k, k_i64(k, 0), k_i64(k, full), c->b.pixels);
    piece(c, cin, c->b.pixels, block, tail);
    k_end(k);
  }
  if (slice > full) piece(c, k_i64(k, full), (int)(slice - full), block, tail);
}

/* Blocks first <= block < end, the tail block among them if end reaches it. */
static void box_blocks(const DwCode *c, KV first, KV end) {
  KFn *k = c->k;
  if (c->b.full) {
    KV block = k_for(k, first, k_min(k, end, k_i64(k, c->b.full)), 1);
    block_pieces(c, block, false);
    k_end(k);
  }
  if (!c->b.tail_vectors) return;
  k_if(k, k_eq(k, end, k_i64(k, c->b.blocks)));
  block_pieces(c, k_i64(k, c->b.full), true);
  k_end(k);
}

static int64_t dw_kernel(Build *b, const DwPlan *pl, const DwInput *input, int isa, KV x, KV dy, KV dw) {
  KFn *k = build_kernel(b, isa);
  DwCode c = {.pl = pl, .k = k, .x = x, .dy = dy, .dw = dw, .tail_mask = K_NONE};
  c.b = conv_block(&pl->slice_cin, 1, pl->s.cout, 1, conv_isa_lanes(isa), conv_isa_regs(isa));
  int64_t width = (int64_t)c.b.vectors * c.b.lanes * 4 * conv_taps(&pl->s) * pl->slice_cin;
  int64_t most = pl->recompute ? c.b.blocks : min64(max64(SLICE_BUDGET / width, 1), c.b.blocks);
  int64_t slices = ceil_div(c.b.blocks, most), slice_blocks = ceil_div(c.b.blocks, slices);
  slices = ceil_div(c.b.blocks, slice_blocks);
  int64_t tasks = pl->parts * slices * pl->slices_cin;
  k_if(k, k_lt(k, k_task(k), k_i64(k, tasks)));
  if (c.b.tail_lanes) c.tail_mask = k_first_lanes(k, k_i64(k, c.b.tail_lanes));
  c.acc = tile_locals(k->arena, k,
                      c.b.pixels * (c.b.vectors > c.b.tail_vectors ? c.b.vectors : c.b.tail_vectors));
  KV slice = k_div(k, k_task(k), k_i64(k, pl->slices_cin)), part = k_div(k, slice, k_i64(k, slices));
  KV first = k_mul(k, k_rem(k, slice, k_i64(k, slices)), k_i64(k, slice_blocks));
  KV end = k_min(k, k_add(k, first, k_i64(k, slice_blocks)), k_i64(k, c.b.blocks));
  c.cin0 = k_mul(k, k_rem(k, k_task(k), k_i64(k, pl->slices_cin)), k_i64(k, pl->slice_cin));
  c.part_at =
      pl->parts > 1 ? k_mul(k, part, k_i64(k, conv_taps(&pl->s) * pl->s.cin * pl->s.cout)) : k_i64(k, 0);
  int64_t rows = pl->slice_cin * pl->s.out[pl->s.ns - 1];
  for (int a = 0; a < pl->nouter; a++) rows *= pl->box[a];
  if (pl->recompute) c.x = k_scratch(k, K_F32, rows, "input");
  KV box0 = k_mul(k, part, k_i64(k, pl->part_boxes));
  KV box = k_for(k, box0, k_min(k, k_add(k, box0, k_i64(k, pl->part_boxes)), k_i64(k, pl->boxes)), 1);
  c.fresh = k_eq(k, box, box0);
  for (int a = pl->nouter - 1; a >= 0; a--) {
    KV n = k_i64(k, ceil_div(pl->extent[a], pl->box[a]));
    c.lo[a] = k_mul(k, k_rem(k, box, n), k_i64(k, pl->box[a]));
    c.hi[a] = k_min(k, k_add(k, c.lo[a], k_i64(k, pl->box[a])), k_i64(k, pl->extent[a]));
    box = k_div(k, box, n);
  }
  if (pl->recompute) dw_input_box(k, input, c.x, c.lo, c.hi, pl->box, c.cin0, pl->slice_cin);
  box_blocks(&c, first, end);
  k_end(k);
  k_end(k);
  return tasks;
}

/* dW = sum of the parts, in order. */
static void reduce_kernel(Build *b, int64_t n, int64_t parts, int isa) {
  KFn *k = build_kernel(b, isa);
  KV from = 0, to = 1, start = k_mul(k, k_task(k), k_i64(k, REDUCE_ELEMENTS));
  KV end = k_min(k, k_add(k, start, k_i64(k, REDUCE_ELEMENTS)), k_i64(k, n));
  KV sum = k_local(k, K_F32, true, "sum");
  KV i = k_for(k, start, end, k->lanes), mask = k_first_lanes(k, k_sub(k, end, i));
  k_set(k, sum, k_load_masked(k, from, i, mask));
  KV p = k_for(k, k_i64(k, 1), k_i64(k, parts), 1);
  KV at = k_add(k, i, k_mul(k, p, k_i64(k, n)));
  k_set(k, sum, k_add(k, k_get(k, sum), k_load_masked(k, from, at, mask)));
  k_end(k);
  k_store_masked(k, to, i, k_get(k, sum), mask);
  k_end(k);
}

static void reduce_parts(Emit *e, const GroupInfo *g, const DwPlan *p, int ws, int dw) {
  int64_t n = conv_taps(&p->s) * p->s.cin * p->s.cout;
  Build b = build_begin(e, g, "reduce", "sum_parts:n%ld_parts%ld:f32", (long)n, (long)p->parts);
  build_arg(&b, ws, false);
  build_arg(&b, dw, true);
  b.kernel.flops = n * (p->parts - 1);
  b.kernel.bytes = 4 * n * (p->parts + 1);
  for (int isa = 0; isa < NETC_ISA_COUNT; isa++) reduce_kernel(&b, n, p->parts, isa);
  build_end(&b, ceil_div(n, REDUCE_ELEMENTS));
}

bool emit_conv_dw(Emit *e, const GroupInfo *g) {
  const Node *nd = &e->fn->node[g->anchor];
  ConvShape s;
  if (!conv_shape(e->fn, nd, &s, e->err)) return false;
  DwInput input;
  bool recompute = dw_input_match(e, g, &s, &input);
  if (e->err[0]) return false;
  const char *name = conv_describe(e->arena, &s);
  if (!recompute) conv_fold(&s);
  DwPlan p = plan_dw(&s, recompute, node_macs(e->fn, nd));
  int dw = emit_buffer(e, g->anchor);
  int ws = p.parts > 1 ? emit_workspace(e, p.parts * conv_taps(&s) * s.cin * s.cout * 4) : dw;
  Build b = build_begin(e, g, "conv_dw", "conv:%s:f32:bwd_w%s", name, recompute ? "_dw" : "");
  KV x = K_NONE, dy = build_arg(&b, emit_buffer(e, nd->in[1]), false);
  if (recompute) dw_input_args(&b, &input);
  else x = nd->in[0] == nd->in[1] ? dy : build_arg(&b, emit_buffer(e, nd->in[0]), false);
  KV out = build_arg(&b, ws, true);
  b.kernel.work = 2 * node_macs(e->fn, nd);
  b.kernel.flops = 2 * node_macs_inside(e->fn, nd) + (recompute ? dw_input_flops(&input) : 0);
  for (int i = 0; i < g->nin; i++) b.kernel.bytes += type_bytes(e->fn->node[g->in[i]].type);
  b.kernel.bytes += type_bytes(nd->type);
  int64_t tasks = 0;
  for (int isa = 0; isa < NETC_ISA_COUNT; isa++)
    tasks = max64(tasks, dw_kernel(&b, &p, &input, isa, x, dy, out));
  build_end(&b, tasks);
  if (p.parts > 1) reduce_parts(e, g, &p, ws, dw);
  return !e->err[0];
}
