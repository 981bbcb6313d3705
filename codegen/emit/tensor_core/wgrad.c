/* wgrad.c - conv_dw on tensor cores.
 *
 * A product of matrices: rows are taps and, inside, channels of x, columns channels of dy, the axis summed over are pixels. In memory
 * a pixel's channels are neighbours, so here both operands lie turned (tensor_core.h): a line of a stage is a pixel.
 *
 * On compute capability 9.0 four warps multiply bf16 together (codegen/kir/wgmma.h), which takes operands as they lie; tf32 it would not.
 *
 * Pixels are cut into parts, each with blocks of its own, where dW alone has too few; partial sums are added in order by a second
 * launch (codegen/emit/core/sum_parts.h). Parts follow from the shape alone.
 */
#include "codegen/emit/core/sum_parts.h"
#include "codegen/emit/tensor_core/tensor_core.h"
#include "ir/ints.h"

typedef struct {
  ConvShape s;
  TcTile t;
  bool bf16, pointwise;
  int64_t rows, pixels, steps, row_blocks, col_blocks, parts;
  int x_piece, dy_piece; /* bytes of a copy */
} Plan;

enum { MOST_PIECES = 32 }; /* of a thread's, in a line */

/* What a thread copies of a line of an operand: pieces of `elements`, `n` of them, `apart` pieces from one to the next. Where
 * lines are short only the first warps copy. */
typedef struct {
  int n, apart, elements, bytes, warps;
  KV line, first, pixel; /* the line, number of the first piece, the line's pixel in the first step */
  KV off[MOST_PIECES];   /* elements from the pixel's; < 0: none */
  KV word[MOST_PIECES];  /* place in the stage */
} Pieces;

typedef struct {
  const Plan *p;
  KV x, dy, dw;
  KV row0, col0; /* of the block */
  KV from, end;  /* pixels of its part: from <= . < end, i32 */
  Pieces xs, dys;
  KV tap[MAX_SPATIAL][MOST_PIECES];
  KV part_at; /* element of the part's sums */
} Code;

/* ---- planning ---- */

/* Blocks for each processor two, but no part of fewer than eight steps, and no more memory than is allowed. */
static void plan_parts(const Machine *m, Plan *p) {
  enum { LEAST_STEPS = 8 };
  int64_t blocks = p->row_blocks * p->col_blocks, bytes = 4 * p->rows * p->s.cout;
  int64_t parts =
      min64(ceil_div(2 * m->processors, blocks), min64(p->steps / LEAST_STEPS, m->parts_bytes / bytes));
  p->parts = max64(parts, 1);
}

static Plan plan(const Machine *m, const ConvShape *s) {
  Plan p = {.s = *s, .bf16 = s->bf16, .rows = conv_taps(s) * s->cin, .pixels = conv_pixels(s, s->out)};
  p.pointwise = conv_is_pointwise(s);
  p.x_piece = tc_copy_bytes(s->cin, p.bf16);
  p.dy_piece = tc_copy_bytes(s->cout, p.bf16);
  p.t = tc_tile_turned(m, p.rows, s->cout, p.pixels, p.bf16);
  p.steps = ceil_div(p.pixels, tc_depth(&p.t, p.bf16));
  p.row_blocks = ceil_div(p.rows, p.t.m);
  p.col_blocks = ceil_div(s->cout, p.t.n);
  plan_parts(m, &p);
  return p;
}

/* ---- copies ---- */

static KV piece_column(KFn *k, const Pieces *p, int i) {
  KV number = k_add(k, p->first, i32v(k, (int64_t)i * p->apart));
  return k_mul(k, number, i32v(k, p->elements));
}

/* Eight threads copy 16 bytes each at once, `apart` pieces of 8 / apart lines. In wide lines of 128 bytes pieces are moved by the number of the
 * line: with lines `apart` from each other the eight go to different quarters of the banks. */
static KV spread(KFn *k, KV line, int apart) {
  KV in = k_rem(k, line, i32v(k, 8)), lines = i32v(k, 8 / apart);
  KV moved = k_add(k, k_mul(k, k_rem(k, in, lines), i32v(k, apart)), k_div(k, in, lines));
  return k_add(k, k_sub(k, line, in), moved);
}

/* Lines of `length` elements, the first at word `start` of a stage. */
static Pieces pieces_of(const Code *c, TcBlock *b, int bytes, int length, int start) {
  KFn *k = b->k;
  int depth = tc_depth(&b->t, b->bf16);
  Pieces p = {.bytes = bytes, .elements = bytes / (b->bf16 ? 2 : 4)};
  p.apart = (int)min64(tc_threads(&b->t) / depth, length / p.elements);
  p.n = length / p.elements / p.apart;
  p.warps = depth * p.apart / 32;
  p.first = k_rem(k, b->thread, i32v(k, p.apart));
  p.line = k_div(k, b->thread, i32v(k, p.apart));
  if (b->t.wide && bytes == 16 && length >= 64 && p.apart <= 8) p.line = spread(k, p.line, p.apart);
  p.pixel = k_add(k, p.line, k_splat(k, c->from));
  for (int i = 0; i < p.n; i++) p.word[i] = tc_turned_word(b, length, start, p.line, piece_column(k, &p, i));
  return p;
}

/* Pieces of x: which tap and channel a row of dW is of; pieces of dy: which channel. */
static void find_pieces(Code *c, TcBlock *b) {
  KFn *k = b->k;
  const Plan *p = c->p;
  const ConvShape *s = &p->s;
  c->xs = pieces_of(c, b, p->x_piece, b->t.m, 0);
  c->dys = pieces_of(c, b, p->dy_piece, b->t.n, tc_turned_b(&b->t, b->bf16));
  for (int i = 0; i < c->xs.n; i++) {
    KV row = k_add(k, piece_column(k, &c->xs, i), k_splat(k, k_cast(k, K_I32, c->row0)));
    KV tap = k_div(k, row, i32v(k, s->cin)), off = k_rem(k, row, i32v(k, s->cin));
    int64_t stride = s->cin;
    for (int a = s->ns - 1; a >= 0; stride *= s->in[a--]) {
      c->tap[a][i] = a ? k_rem(k, tap, i32v(k, s->k[a])) : tap;
      tap = k_div(k, tap, i32v(k, s->k[a]));
      off = k_add(k, off, k_mul(k, c->tap[a][i], i32v(k, stride)));
    }
    KV beyond = k_le(k, i32v(k, p->rows), row); /* the last tap: no pixel has it */
    c->xs.off[i] = p->pointwise ? k_select(k, beyond, i32v(k, -1), off) : off;
    c->tap[0][i] = k_select(k, beyond, i32v(k, 31), c->tap[0][i]);
  }
  for (int i = 0; i < c->dys.n; i++) {
    KV col = k_add(k, piece_column(k, &c->dys, i), k_splat(k, k_cast(k, K_I32, c->col0)));
    c->dys.off[i] = k_select(k, k_lt(k, col, i32v(k, s->cout)), col, i32v(k, -1));
  }
}

/* Where pixel `pixel` reads x along an axis, and the taps j for which it does, as bits. */
static KV axis_bits(KFn *k, const ConvShape *s, int a, KV at) {
  KV zero = i32v(k, 0), one = i32v(k, 1), taps = i32v(k, s->k[a]);
  KV lo = k_min(k, k_max(k, k_sub(k, zero, at), zero), taps);
  KV hi = k_min(k, k_max(k, k_sub(k, i32v(k, s->in[a]), at), zero), taps);
  KV below = k_sub(k, k_bin(k, K_shl, one, lo), one), up = k_sub(k, k_bin(k, K_shl, one, hi), one);
  return k_bin(k, K_and, up, k_bin(k, K_xor, below, i32v(k, -1)));
}

/* Without taps both operands are read at the same pixel. */
static void copy_plain(TcBlock *b, const Pieces *p, KV buf, int64_t channels, KV pixel, KV inside, KV stage) {
  KFn *k = b->k;
  KV base = k_mul(k, pixel, i32v(k, channels)), minus = i32v(k, -1);
  for (int i = 0; i < p->n; i++) {
    KV some = k_and(k, inside, k_le(k, i32v(k, 0), p->off[i]));
    KV from = k_select(k, some, k_add(k, base, p->off[i]), minus);
    k_copy_async(k, b->tiles, k_add(k, p->word[i], stage), buf, from, p->bytes);
  }
}

static void copy_taps(const Code *c, TcBlock *b, KV pixel, KV inside, KV stage) {
  KFn *k = b->k;
  const ConvShape *s = &c->p->s;
  KV rest = pixel, at[MAX_SPATIAL], bits[MAX_SPATIAL], none = i32v(k, 0);
  for (int a = s->ns - 1; a >= 0; a--) {
    KV q = k_rem(k, rest, i32v(k, s->out[a]));
    rest = k_div(k, rest, i32v(k, s->out[a]));
    at[a] = k_sub(k, k_mul(k, q, i32v(k, s->geom.stride[a])), i32v(k, s->geom.pad[a]));
    bits[a] = axis_bits(k, s, a, at[a]);
  }
  bits[0] = k_select(k, inside, bits[0], none);
  for (int a = 0; a < s->ns; a++) rest = k_add(k, k_mul(k, rest, i32v(k, s->in[a])), at[a]);
  KV base = k_mul(k, rest, i32v(k, s->cin));
  for (int i = 0; i < c->xs.n; i++) {
    KV all = i32v(k, 1);
    for (int a = 0; a < s->ns; a++) all = k_bin(k, K_and, all, k_bin(k, K_shr, bits[a], c->tap[a][i]));
    KV from = k_select(k, k_eq(k, all, none), i32v(k, -1), k_add(k, base, c->xs.off[i]));
    k_copy_async(k, b->tiles, k_add(k, c->xs.word[i], stage), c->x, from, c->xs.bytes);
  }
}

static void load_operand(Code *c, TcBlock *b, const Pieces *p, KV buf, int64_t channels, bool taps, KV step,
                         KV stage) {
  KFn *k = b->k;
  bool some = p->warps < tc_warps(&b->t);
  KV depth = k_i32(k, tc_depth(&b->t, b->bf16));
  if (some) k_if(k, k_lt(k, k_thread(k), k_i64(k, p->warps)));
  KV pixel = k_add(k, p->pixel, k_splat(k, k_mul(k, k_cast(k, K_I32, step), depth)));
  KV inside = k_lt(k, pixel, k_splat(k, c->end));
  if (taps) copy_taps(c, b, pixel, inside, stage);
  else copy_plain(b, p, buf, channels, pixel, inside, stage);
  if (some) k_end(k);
}

static void load(void *ctx, TcBlock *b, KV step, KV stage) {
  Code *c = ctx;
  load_operand(c, b, &c->xs, c->x, c->p->s.cin, !c->p->pointwise, step, stage);
  load_operand(c, b, &c->dys, c->dy, c->p->s.cout, false, step, stage);
}

/* ---- results ---- */

static void rows(void *ctx, TcBlock *b, KV first) { (void)ctx, (void)b, (void)first; }
static void next(void *ctx, TcBlock *b) { (void)ctx, (void)b; }

static void result_row(void *ctx, TcBlock *b, KV row, KV col, int few, KV value) {
  Code *c = ctx;
  KFn *k = b->k;
  KV r = k_add(k, c->row0, row), channel = k_add(k, c->col0, col), cols = k_i64(k, c->p->s.cout);
  k_if(k, k_and(k, k_lt(k, r, k_i64(k, c->p->rows)), k_lt(k, channel, cols)));
  KV at = k_add(k, k_add(k, k_mul(k, r, cols), channel), c->part_at);
  KV mask = k_first_lanes(k, k_min(k, k_sub(k, cols, channel), k_i64(k, few)));
  k_store_masked(k, c->dw, at, value, mask);
  k_end(k);
}

static void kernel(KFn *k, const Plan *p, KV x, KV dy, KV dw) {
  static const TcResult result = {rows, result_row, next};
  Code c = {.p = p, .x = x, .dy = dy, .dw = dw};
  TcBlock b;
  tc_begin(&b, k, &p->t, p->bf16);
  KV col_blocks = k_i64(k, p->col_blocks), row_blocks = k_i64(k, p->row_blocks), rest = k_task(k);
  c.col0 = k_mul(k, k_rem(k, rest, col_blocks), k_i64(k, p->t.n)), rest = k_div(k, rest, col_blocks);
  c.row0 = k_mul(k, k_rem(k, rest, row_blocks), k_i64(k, p->t.m));
  KV part = k_div(k, rest, row_blocks), all = k_i64(k, p->steps), parts = k_i64(k, p->parts);
  KV from = k_div(k, k_mul(k, part, all), parts);
  KV to = k_div(k, k_mul(k, k_add(k, part, k_i64(k, 1)), all), parts);
  KV depth = k_i64(k, tc_depth(&p->t, p->bf16));
  c.part_at = k_mul(k, part, k_i64(k, p->rows * p->s.cout));
  c.end = k_cast(k, K_I32, k_min(k, k_mul(k, to, depth), k_i64(k, p->pixels)));
  c.from = k_cast(k, K_I32, k_mul(k, from, depth));
  find_pieces(&c, &b);
  tc_run(&b, k_sub(k, to, from), load, &c);
  tc_results(&b, &result, &c);
}

/* The same launch on GPUs that multiply by four warps. Steps are twice as long where a thread has not too many pieces to copy then. */
static void wide_kernel(Build *b, const Plan *p, KV x, KV dy, KV dw) {
  Plan wide = *p;
  bool whole = p->x_piece == 16 && p->dy_piece == 16;
  if (!p->bf16 || !tc_wide(&p->t, whole ? ceil_div(p->steps, p->parts) : 0, &wide.t)) return;
  wide.steps = ceil_div(p->pixels, tc_depth(&wide.t, true));
  kernel(build_sm90(b), &wide, x, dy, dw);
}

bool tc_wgrad(Emit *e, const GroupInfo *g, const ConvShape *s) {
  const Node *nd = &e->fn->node[g->anchor];
  Plan p = plan(e->machine, s);
  int dw = emit_buffer(e, g->anchor);
  int ws = p.parts > 1 ? emit_workspace(e, p.parts * p.rows * s->cout * 4) : dw;
  Build b = build_begin(e, g, "conv_dw", "conv:%s:%s:bwd_w", conv_describe(e->arena, s),
                        p.bf16 ? "mma_bf16" : "mma_tf32");
  KV dy = build_arg(&b, emit_buffer(e, nd->in[1]), false),
     x = build_arg(&b, emit_buffer(e, nd->in[0]), false);
  KV out = build_arg(&b, ws, true);
  b.kernel.work = 2 * node_macs(e->fn, nd);
  b.kernel.flops = 2 * node_macs_inside(e->fn, nd);
  b.kernel.bytes = group_bytes(e, g);
  kernel(build_kernel(&b, 0), &p, x, dy, out);
  wide_kernel(&b, &p, x, dy, out);
  build_end(&b, p.row_blocks * p.col_blocks * p.parts);
  int64_t parts[NETC_ISA_COUNT] = {p.parts};
  if (p.parts > 1) sum_parts(e, g, p.rows * s->cout, parts, ws, dw);
  return !e->err[0];
}
