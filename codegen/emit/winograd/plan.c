/* plan.c - shapes, blocks and memory of Winograd convolutions, and the choice among the ways (winograd.h). */
#include "codegen/emit/winograd/winograd.h"
#include "codegen/util/ints.h"

/* Fewer channels than this fill no vector. */
enum { LEAST_CHANNELS = 8 };

bool wino_shape(const Fn *f, const Node *nd, WinoShape *s) {
  ConvShape c;
  char err[256];
  if (!conv_shape(f, nd, &c, err) || c.ns < 2 || c.ns > 3) return false;
  if (c.cin < LEAST_CHANNELS || c.cout < LEAST_CHANNELS) return false;
  int64_t pad[MAX_SPATIAL];
  for (int i = 0; i < c.ns; i++) {
    if (c.stride[i] != 1 || c.k[i] > WINO_TAPS || (i >= c.ns - 2 && c.k[i] != WINO_TAPS)) return false;
    pad[i] = c.dgrad ? c.k[i] - 1 - c.pad[i] : c.pad[i];
  }
  int y = c.ns - 2, x = c.ns - 1;
  *s = (WinoShape){.n = c.n, .cin = c.cin, .cout = c.cout, .dgrad = c.dgrad, .bf16 = c.bf16};
  s->depth_in = s->depth_out = s->taps = 1;
  if (c.ns == 3) s->depth_in = c.in[0], s->depth_out = c.out[0], s->depth_pad = pad[0], s->taps = c.k[0];
  s->rows_in = c.in[y], s->rows_out = c.out[y], s->row_pad = pad[y];
  s->cols_in = c.in[x], s->cols_out = c.out[x], s->col_pad = pad[x];
  return true;
}

bool wino_bf16(const WinoPlan *pl) {
  return pl->s.bf16 && pl->s.cin % 2 == 0 && (pl->wy->m == 2 || pl->wx->m == 2 || pl->s.dgrad);
}

int64_t wino_points(const WinoPlan *pl) { return (int64_t)pl->wy->n * pl->wx->n; }
int64_t wino_v_rows(const WinoPlan *pl) { return (pl->slab + pl->s.taps - 1) * pl->run; }
int64_t wino_m_rows(const WinoPlan *pl) { return pl->slab * pl->run; }

/* ---- blocks ---- */

static int64_t in_vectors(int64_t channels) { return ceil_div(channels, 16); }

/* Bytes of scratch of a block: V, and M of the usual 32 channels. */
static int64_t block_bytes(const WinoPlan *pl) {
  return wino_points(pl) * ((wino_bf16(pl) ? 2 : 4) * wino_v_rows(pl) * pl->s.cin + 4 * wino_m_rows(pl) * 32);
}

/* Cycles of one core with 16 lanes and two multiply-adds a cycle. Fitted to measurements of the layers of U-Net and V-Net; what
 * matters is which way is the faster one, and that depends on the proportions only, so that they serve 8 lanes as well.
 *
 * Products take the rows of all blocks, whole or not, and a little more for a register tile that is not full. Transforms take so
 * many cycles a vector. Then there is what is read and written while nothing is computed: the tensors, at the rate of the memory;
 * U, for every block, and more of it than the third-level cache holds from memory; V and M of the deep way. */
static double wino_cycles(const WinoPlan *pl) {
  const WinoShape *s = &pl->s;
  int fours = (pl->wy->m == 4) + (pl->wx->m == 4);
  bool bf16 = wino_bf16(pl);
  double element = bf16 ? 2 : 4; /* of U and V */
  double blocks = (double)(pl->runs * pl->slabs), rows = (double)wino_m_rows(pl),
         v_rows = (double)wino_v_rows(pl);
  double points = (double)wino_points(pl), depth = (double)(s->taps * s->cin),
         out = (double)in_vectors(s->cout);
  double products =
      1.03 * points * blocks * (rows + (wino_m_rows(pl) % 14 ? 2 : 0)) * depth * out / (bf16 ? 4 : 2);
  static const double of_input[] = {45, 72, 110}, of_result[] = {40, 65, 100}, of_weights[] = {35, 53, 80};
  double transforms = of_input[fours] * blocks * v_rows * (double)in_vectors(s->cin) +
                      of_result[fours] * (double)(pl->tiles * s->depth_out) * out +
                      of_weights[fours] * depth * out;
  double image = s->bf16 ? 2 : 4, x = image * (double)(s->n * s->depth_in * s->rows_in * s->cols_in * s->cin);
  double y = image * (double)(s->n * s->depth_out * s->rows_out * s->cols_out * s->cout);
  double u = element * points * depth * (double)s->cout, memory = (x + 2 * y) / 9;
  if (pl->deep) {
    double work = points * (element * v_rows * (double)s->cin + 4 * rows * (double)s->cout);
    memory += 2.5 * work / (work < 24e6 ? 16 : 10) + WINO_TAPS * WINO_TAPS * 4 * depth * (double)s->cout / 8;
  } else {
    double spilt = (double)block_bytes(pl) - 700e3;
    memory += blocks * u / (u < 12e6 ? 40 : 14) + (spilt > 0 ? blocks * spilt / 8 : 0);
    if (blocks < 32) products *= 1 + 0.01 * (32 - blocks); /* threads may lack work */
  }
  return products + transforms + memory;
}

static void set_block(WinoPlan *pl, int64_t run, int64_t slab) {
  pl->run = run, pl->slab = slab;
  pl->runs = ceil_div(pl->tiles, run);
  pl->slabs = ceil_div(pl->s.depth_out, slab);
}

/* The block that takes the least time of those whose scratch is at most LARGEST bytes; without one, a block of one tile. */
static void choose_block(WinoPlan *pl) {
  enum { LARGEST = 1664 << 10, STEP = 14, MOST = 112, THICKEST = 16 };
  const WinoShape *s = &pl->s;
  double least = 0;
  set_block(pl, 1, 1);
  WinoPlan best = *pl;
  for (int64_t slab = 1; slab <= (s->taps > 1 ? min64(s->depth_out, THICKEST) : 1); slab++)
    for (int64_t rows = STEP; rows <= MOST; rows += STEP) {
      int64_t run = min64(max64(rows / slab, 1), pl->tiles);
      set_block(pl, ceil_div(pl->tiles, ceil_div(pl->tiles, run)), slab);
      double cycles = wino_cycles(pl);
      if (block_bytes(pl) > LARGEST || (least > 0 && cycles >= least)) continue;
      best = *pl;
      least = cycles;
    }
  *pl = best;
}

const char *wino_name(Arena *a, const WinoPlan *pl) {
  if (pl->wy == pl->wx) return arena_printf(a, "wino%d", pl->wx->m);
  return arena_printf(a, "wino%dx%d", pl->wy->m, pl->wx->m);
}

WinoPlan wino_plan(const WinoShape *s, int my, int mx, bool deep) {
  WinoPlan pl = {.s = *s, .wy = wino_of(my), .wx = wino_of(mx), .deep = deep};
  pl.tile_cols = ceil_div(s->cols_out, mx);
  pl.plane_tiles = ceil_div(s->rows_out, my) * pl.tile_cols;
  pl.tiles = s->n * pl.plane_tiles;
  if (deep) set_block(&pl, pl.tiles, s->depth_out);
  else choose_block(&pl);
  return pl;
}

static WinoMemory memory_of(const WinoPlan *pl, int isa, int vectors) {
  int64_t rows = wino_m_rows(pl);
  WinoMemory m = {.pitch = round_up(pl->s.cin, 16)};
  if (m.pitch % 128 == 0) m.pitch += 16;
  m.pairs = wino_bf16(pl) && isa == NETC_ISA_AVX512_BF16;
  m.depth = m.pairs ? pl->s.cin / 2 : pl->s.cin;
  m.b = conv_block_within(vectors, &rows, 1, pl->s.cout, m.pitch, machine_host.isa[isa].lanes,
                          machine_host.isa[isa].nregs);
  m.width = m.b.vectors * m.b.lanes;
  m.v_plane = wino_odd_lines(wino_v_rows(pl) * m.pitch);
  m.m_plane = wino_odd_lines(rows * m.width);
  m.m_block = wino_points(pl) * m.m_plane;
  m.u_plane = pl->s.taps * m.depth * m.width;
  m.u_block = wino_points(pl) * m.u_plane;
  return m;
}

/* Of a task: U of a row of points and a block of channels, or V of a block of tiles and M of a block. */
static int64_t scratch_bytes(const WinoPlan *pl, const WinoMemory *m) {
  if (pl->deep) return 4 * pl->wx->n * m->u_plane;
  return (wino_bf16(pl) ? 2 : 4) * wino_points(pl) * m->v_plane + 4 * m->m_block;
}

/* Two vectors still feed two multiply-adds from each broadcast; one would halve the rate of the products. */
WinoMemory wino_memory(const WinoPlan *pl, int isa) {
  enum { MOST_VECTORS = 6, LEAST_VECTORS = 2 };
  WinoMemory m = memory_of(pl, isa, MOST_VECTORS);
  while (m.b.vectors > LEAST_VECTORS && scratch_bytes(pl, &m) > KIR_MAX_SCRATCH)
    m = memory_of(pl, isa, m.b.vectors - 1);
  return m;
}

bool wino_fits(const WinoPlan *pl) {
  for (int isa = 0; isa < NETC_ISA_COUNT; isa++) {
    WinoMemory m = wino_memory(pl, isa);
    if (scratch_bytes(pl, &m) > KIR_MAX_SCRATCH) return false;
  }
  return true;
}

/* ---- choice ---- */

static int64_t apply_flops(const WinoMatrix *w) {
  Arena *a = arena_new();
  KFn *k = k_new(a, "count", 8);
  KV x = k_arg(k, K_F32, "x"), in[WINO_MAX_N], out[WINO_MAX_N];
  for (int i = 0; i < w->cols; i++) in[i] = k_load(k, x, k_i64(k, i), true);
  wino_apply(k, w, in, out);
  int64_t flops = 0;
  for (int i = 0; i < k->n; i++) {
    KOp op = k->ins[i].op;
    bool vec = k->ins[i].type.vec;
    flops += !vec ? 0 : op == K_fma ? 2 : op == K_add || op == K_sub || op == K_mul;
  }
  arena_free(a);
  return flops;
}

int64_t wino_both_flops(const WinoMatrix *y, const WinoMatrix *x) {
  return y->cols * apply_flops(x) + x->rows * apply_flops(y);
}

/* The direct kernels reach the rate of multiply-adds; lanes beyond the last channel are lost to both. conv_dx has to turn its
 * weights round, either way, which the direct one does element by element. Where operands are rounded to bf16 the direct ones
 * multiply pairs, at twice the rate on the processors that such modules are for, and mostly so does Winograd (wino_bf16). Winograd has to win by
 * something, as it rounds more and takes more memory. */
bool wino_choose(const Fn *f, const Node *nd, WinoPlan *pl) {
  WinoShape s;
  if (!f->prog->winograd || !wino_shape(f, nd, &s)) return false;
  double direct = 1.03 * (double)node_macs_inside(f, nd) / (double)s.cout * (double)in_vectors(s.cout) / 2;
  if (s.bf16 && s.cin % 2 == 0) direct /= 2;
  double weights = (double)(s.dgrad ? s.taps * WINO_TAPS * WINO_TAPS * s.cin * s.cout : 0);
  double turned = 0.3 * weights, least = 0.85 * (direct + weights);
  bool found = false;
  for (int ways = 0; ways < 4; ways++)
    for (int deep = 0; deep < 2; deep++) {
      int my = ways & 1 ? 4 : 2, mx = ways & 2 ? 4 : 2;
      WinoPlan way = wino_plan(&s, my, mx, deep);
      if (my != mx && !wino_bf16(&way)) continue;
      double cycles = wino_cycles(&way) + turned;
      if (wino_bf16(&way)) cycles *= 1.04; /* it rounds more */
      if (cycles >= least || !wino_fits(&way)) continue;
      *pl = way;
      least = cycles;
      found = true;
    }
  return found;
}
