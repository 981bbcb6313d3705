/* wgrad_plan.c - shapes, blocks and costs of weight gradients by Winograd's F(4,3) (wgrad.h). */
#include "codegen/emit/winograd/winograd.h"
#include "codegen/emit/winograd/wgrad.h"
#include "ir/ints.h"

enum {
  BLOCK_TILES = 64,   /* depth of a product: reading and writing dU takes a twentieth of it */
  HALO_TILES = 8,     /* tiles of a plane in a block, where x has planes beside those of dy */
  SLICE = 64,         /* channels of a task: transforms are a sixth of the products, dU is 600 KB .. */
  SHARED_SLICE = 128, /* .. of x, where transforms are read only */
  VECTOR = 16,
  PART_TILES = 128, /* G^T dU G costs as much as the products of 10 tiles */
  TASKS = 32
};
enum { SCRATCH_BUDGET = 2000 << 10, WORKSPACE_BUDGET = 16 << 20 };
/* Operands are transformed once when each task would do it for one of so many slices, on average, and it fits. */
enum { SHARED_SLICES = 8, SHARED_BUDGET = 64 << 20 };

static int64_t whole(int64_t c) { return round_up(c, VECTOR); }
static int64_t tiles_of(const WinoWgrad *p, int64_t planes) { return p->images * planes * p->ty * p->tx; }

/* n cut into pieces of equal length, `most` at most: the length. */
static int64_t even(int64_t n, int64_t most) { return ceil_div(n, ceil_div(n, min64(n, most))); }

static void plan_blocks(WinoWgrad *p) {
  int64_t tiles = p->ty * p->tx;
  p->block_tiles = even(tiles, p->taps > 1 ? HALO_TILES : BLOCK_TILES);
  p->block_planes = even(p->planes, max64(BLOCK_TILES / p->block_tiles, 1));
  p->block_tiles = even(tiles, max64(BLOCK_TILES / p->block_planes, 1));
  p->plane_blocks = ceil_div(p->planes, p->block_planes);
  p->tile_blocks = ceil_div(tiles, p->block_tiles);
  p->blocks = p->images * p->plane_blocks * p->tile_blocks;
}

/* Slices of c channels: all of them, or whole vectors of every instruction set that together are little more. */
static int64_t slice_of(int64_t c, int64_t most) {
  if (c <= most) return c;
  int64_t best = most;
  for (int64_t slice = most; slice >= VECTOR && slice * 2 >= most; slice -= VECTOR)
    if (round_up(c, slice) < round_up(c, best)) best = slice;
  return best;
}

static void cut_channels(WinoWgrad *p, int64_t cin, int64_t cout) {
  p->slice_cin = slice_of(p->s.cin, cin);
  p->slice_cout = slice_of(p->s.cout, cout);
  p->slices_cin = ceil_div(p->s.cin, p->slice_cin);
  p->slices_cout = ceil_div(p->s.cout, p->slice_cout);
}

static int64_t scratch_bytes(const WinoWgrad *p) {
  enum { PADDING = 3 * 2 * VECTOR };
  int64_t cin = whole(p->slice_cin), cout = whole(p->slice_cout);
  int64_t tiles = p->block_planes * p->block_tiles, x_tiles = tiles + (p->taps - 1) * p->block_tiles;
  int64_t point = p->taps * cin * cout + (p->shared ? 0 : x_tiles * cin + tiles * cout) + p->taps * PADDING;
  return WINO_POINTS * point * (int64_t)sizeof(float);
}

static void plan_slices(WinoWgrad *p) {
  const ConvShape *s = &p->s;
  int64_t cin = SLICE, cout = SLICE;
  cut_channels(p, cin, cout);
  p->shared = p->slices_cin + p->slices_cout >= 2 * SHARED_SLICES &&
              wino_side_bytes(p, true) + wino_side_bytes(p, false) <= SHARED_BUDGET;
  if (p->shared) cut_channels(p, cin = SHARED_SLICE, cout);
  while (scratch_bytes(p) > SCRATCH_BUDGET && cout > VECTOR) {
    if (cin > VECTOR && cin >= cout / 2) cin -= VECTOR;
    else cout -= VECTOR;
    cut_channels(p, cin, cout);
  }
  int64_t bytes = (int64_t)sizeof(float) * conv_taps(s) * s->cin * s->cout;
  int64_t parts = min64(ceil_div(TASKS, p->slices_cin * p->slices_cout), WORKSPACE_BUDGET / bytes);
  parts = min64(parts, tiles_of(p, p->planes) / PART_TILES);
  p->parts = min64(max64(parts, 1), p->blocks);
}

bool wino_wgrad_plan(const ConvShape *s, WinoWgrad *p) {
  int h = s->ns - 2, w = s->ns - 1;
  if (s->ns < 2 || s->k[h] != WINO_TAPS || s->k[w] != WINO_TAPS) return false;
  for (int a = 0; a < s->ns; a++)
    if (s->geom.stride[a] != 1) return false;
  *p = (WinoWgrad){
      .s = *s, .w = wino_of(WINO_MAX_M), .images = 1, .planes = s->n, .x_planes = s->n, .taps = 1};
  if (s->ns == MAX_SPATIAL) {
    p->images = s->n, p->planes = s->out[0], p->x_planes = s->in[0];
    p->taps = s->k[0], p->pad = s->geom.pad[0];
  }
  p->ty = ceil_div(s->out[h], p->w->m), p->tx = ceil_div(s->out[w], p->w->m);
  plan_blocks(p);
  plan_slices(p);
  return scratch_bytes(p) <= SCRATCH_BUDGET;
}

/* All in the time of a multiply-add of a product, measured with AVX-512: the transform of a tile for a channel; for a
 * channel of x and one of dy, a point of dU read and written once more, and G^T dU G. */
static bool pays(const WinoWgrad *p, int64_t macs) {
  enum { X_TILE = 320, DY_TILE = 240, SUM = 10, RESULT = 300 };
  double taps = (double)p->taps, tiles = (double)tiles_of(p, p->planes), parts = (double)p->parts;
  double cout = (double)whole(p->s.cout), weights = (double)(p->slices_cin * p->slice_cin) * cout;
  double direct = (double)macs / (double)p->s.cout * cout;
  double x = X_TILE * (double)(tiles_of(p, p->planes + p->plane_blocks * (p->taps - 1)) * whole(p->s.cin));
  double dy = DY_TILE * tiles * cout;
  if (!p->shared) x *= (double)p->slices_cout, dy *= (double)p->slices_cin;
  double products = WINO_POINTS * taps * (tiles + SUM * (double)p->blocks) * weights;
  if (p->s.bf16) products *= 0.55; /* of pairs */
  return products + x + dy + RESULT * taps * parts * weights < 0.85 * direct;
}

/* Operands that are to be rounded to bf16 lie in memory as such (conv_shape), and both ways multiply them in pairs, at twice the
 * rate on the processors that such modules are for. */
bool wino_wgrad_choose(const Fn *f, const Node *nd, const ConvShape *s, WinoWgrad *p) {
  int64_t macs = node_macs_inside(f, nd);
  return f->prog->winograd && wino_wgrad_plan(s, p) && pays(p, s->bf16 ? macs / 2 : macs);
}

/* ---- arithmetic ---- */

int64_t wino_wgrad_x_flops(const WinoWgrad *p) {
  return tiles_of(p, p->planes + p->plane_blocks * (p->taps - 1)) * p->s.cin *
         wino_both_flops(&p->w->bt, &p->w->bt);
}

int64_t wino_wgrad_dy_flops(const WinoWgrad *p) {
  WinoMatrix a = wino_transposed(&p->w->at);
  return tiles_of(p, p->planes) * p->s.cout * wino_both_flops(&a, &a);
}

int64_t wino_wgrad_product_flops(const WinoWgrad *p) {
  WinoMatrix gt = wino_transposed(&p->w->g);
  int64_t products = 2 * WINO_POINTS * tiles_of(p, p->planes), results = p->parts * wino_both_flops(&gt, &gt);
  return p->taps * p->s.cin * p->s.cout * (products + results);
}
