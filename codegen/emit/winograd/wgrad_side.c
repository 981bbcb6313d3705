/* wgrad_side.c - operands of Winograd's weight gradients: blocks of tiles, transformed (wgrad.h). */
#include "codegen/emit/winograd/wgrad.h"
#include "codegen/util/ints.h"

WinoBlock wino_block(KFn *k, const WinoWgrad *p, KV number) {
  WinoBlock b;
  KV tile_blocks = k_i64(k, p->tile_blocks), plane_blocks = k_i64(k, p->plane_blocks);
  b.tile0 = k_mul(k, k_rem(k, number, tile_blocks), k_i64(k, p->block_tiles));
  b.tiles = k_min(k, k_i64(k, p->block_tiles), k_sub(k, k_i64(k, p->ty * p->tx), b.tile0));
  number = k_div(k, number, tile_blocks);
  b.plane0 = k_mul(k, k_rem(k, number, plane_blocks), k_i64(k, p->block_planes));
  b.planes = k_min(k, k_i64(k, p->block_planes), k_sub(k, k_i64(k, p->planes), b.plane0));
  b.image = k_div(k, number, plane_blocks);
  return b;
}

/* Planes of x that the taps reach beside those of dy. */
static int64_t more_planes(const WinoSide *s) { return s->of_x ? s->p->taps - 1 : 0; }

static int64_t planes_at_most(const WinoWgrad *p, bool of_x) {
  return p->block_planes + (of_x ? p->taps - 1 : 0);
}

/* Elements of a point of a block, for one channel. */
static int64_t depth_at_most(const WinoWgrad *p, bool of_x, bool pairs) {
  return planes_at_most(p, of_x) * (pairs ? (p->block_tiles + 1) / 2 : p->block_tiles);
}

/* Channels of a slice, to whole vectors. */
static int64_t width_of(const WinoWgrad *p, bool of_x, int lanes) {
  return round_up(of_x ? p->slice_cin : p->slice_cout, lanes);
}

bool wino_wgrad_pairs(const WinoWgrad *p, int isa) { return p->s.bf16 && isa == NETC_ISA_AVX512_BF16; }

int64_t wino_side_bytes(const WinoWgrad *p, bool of_x) {
  int64_t most = 0;
  for (int isa = 0; isa < NETC_ISA_COUNT; isa++) {
    int64_t depth = depth_at_most(p, of_x, wino_wgrad_pairs(p, isa));
    int64_t point = wino_odd_lines(depth * width_of(p, of_x, machine_host.isa[isa].lanes));
    if (point > most) most = point;
  }
  return most * WINO_POINTS * p->blocks * (of_x ? p->slices_cin : p->slices_cout) * (int64_t)sizeof(float);
}

WinoSide wino_side(KFn *k, const WinoWgrad *p, bool of_x, bool pairs, KV src, KV z) {
  const ConvShape *c = &p->s;
  int64_t slice = of_x ? p->slice_cin : p->slice_cout;
  WinoSide s = {.k = k, .p = p, .of_x = of_x, .pairs = pairs, .src = src, .z = z, .base = k_i64(k, 0)};
  s.m = of_x ? p->w->bt : wino_transposed(&p->w->at);
  s.channels = of_x ? c->cin : c->cout;
  s.planes = of_x ? p->x_planes : p->planes;
  for (int i = 0; i < 2; i++) {
    int axis = c->ns - 2 + i;
    s.extent[i] = of_x ? c->in[axis] : c->out[axis];
    s.pad[i] = of_x ? c->pad[axis] : 0;
  }
  s.width = width_of(p, of_x, k->lanes);
  s.masks = s.channels % slice != 0 || slice % k->lanes != 0;
  s.point_size = wino_odd_lines(depth_at_most(p, of_x, pairs) * s.width);
  if (z == K_NONE) s.z = k_scratch(k, K_F32, wino_side_elements(&s), of_x ? "x" : "dy");
  return s;
}

KV wino_side_depth(const WinoSide *s, KV tiles) {
  KFn *k = s->k;
  return s->pairs ? k_div(k, k_add(k, tiles, k_i64(k, 1)), k_i64(k, 2)) : tiles;
}

int64_t wino_side_elements(const WinoSide *s) { return WINO_POINTS * s->point_size; }

KV wino_side_mask(const WinoSide *s, KV c) {
  KFn *k = s->k;
  return k_first_lanes(k, k_sub(k, k_i64(k, s->channels), k_add(k, s->channel0, c)));
}

/* First pixel of tile number `tile` of a plane. */
static void tile_pixel(const WinoSide *s, KV tile, KV *row, KV *col) {
  KFn *k = s->k;
  KV tx = k_i64(k, s->p->tx), m = k_i64(k, s->p->w->m);
  *row = k_sub(k, k_mul(k, k_div(k, tile, tx), m), k_i64(k, s->pad[0]));
  *col = k_sub(k, k_mul(k, k_rem(k, tile, tx), m), k_i64(k, s->pad[1]));
}

/* Plane z of the block, counted in its image; with padding it may lie outside. */
static KV block_plane(const WinoSide *s, const WinoBlock *b, KV z) {
  KFn *k = s->k;
  return k_sub(k, k_add(k, b->plane0, z), k_i64(k, s->of_x ? s->p->pad : 0));
}

/* Element of the first pixel of a plane, first channel of the slice. */
static KV plane_start(const WinoSide *s, const WinoBlock *b, KV plane) {
  KFn *k = s->k;
  KV number = k_add(k, k_mul(k, b->image, k_i64(k, s->planes)), plane);
  return k_add(k, k_mul(k, number, k_i64(k, s->extent[0] * s->extent[1] * s->channels)), s->channel0);
}

/* ---- transforms ---- */

/* Where the transform of a vector of channels goes. */
typedef struct {
  const WinoSide *s;
  KV at;
  bool second; /* of a pair: the first waits in the place of both */
} Points;

static void put_point(void *of, int i, int j, KV v) {
  const Points *p = of;
  const WinoSide *s = p->s;
  KFn *k = s->k;
  KV to = k_add(k, p->at, k_i64(k, (i * WINO_MAX_N + j) * s->point_size));
  if (p->second) v = k_bitcast(k, K_F32, k_pair(k, k_load(k, s->z, to, true), v));
  k_store(k, s->z, to, v);
}

/* A tile of a plane; its first element goes to `to`. second: of a pair, and there is none when tile == b->tiles. */
static void transform_tile(const WinoSide *s, const WinoBlock *b, KV plane, KV tile, KV to, bool second) {
  KFn *k = s->k;
  KV row, col;
  tile_pixel(s, k_add(k, b->tile0, tile), &row, &col);
  WinoImage im = {.k = k, .buf = s->src, .rows = s->extent[0], .cols = s->extent[1], .pixel = s->channels};
  im.row = im.cols * im.pixel;
  im.valid = K_NONE;
  if (more_planes(s)) im.valid = k_and(k, k_le(k, k_i64(k, 0), plane), k_lt(k, plane, k_i64(k, s->planes)));
  if (second) {
    KV there = k_lt(k, tile, b->tiles);
    im.valid = im.valid == K_NONE ? there : k_and(k, im.valid, there);
  }
  KV start = plane_start(s, b, plane);
  for (int inside = 1; inside >= 0; inside--) {
    if (inside) k_if(k, wino_inside(&im, row, col, s->m.cols, s->m.cols));
    else k_else(k);
    KV c = k_for(k, k_i64(k, 0), k_i64(k, s->width), k->lanes);
    Points points = {s, k_add(k, to, c), second};
    im.mask = s->masks ? wino_side_mask(s, c) : K_NONE;
    im.plane = k_add(k, start, c);
    wino_pixels(&im, row, col, s->m.cols, s->m.cols, inside);
    wino_both_sides(k, &s->m, &s->m, &(WinoEnds){wino_pixel, &im, put_point, &points});
    k_end(k);
  }
  k_end(k);
}

void wino_side_transform(const WinoSide *s, const WinoBlock *b) {
  KFn *k = s->k;
  KV z = k_for(k, k_i64(k, 0), k_add(k, b->planes, k_i64(k, more_planes(s))), 1);
  KV depth = wino_side_depth(s, b->tiles), t = k_for(k, k_i64(k, 0), depth, 1);
  KV to = k_mul(k, k_add(k, k_mul(k, z, depth), t), k_i64(k, s->width));
  for (int i = 0; i <= s->pairs; i++) {
    KV tile = s->pairs ? k_add(k, k_mul(k, t, k_i64(k, 2)), k_i64(k, i)) : t;
    transform_tile(s, b, block_plane(s, b, z), tile, k_add(k, s->base, to), i == 1);
  }
  k_end(k);
  k_end(k);
}

/* ---- prefetching ---- */

int64_t wino_side_rows(const WinoSide *s) {
  return planes_at_most(s->p, s->of_x) * s->p->block_tiles * s->m.cols;
}

/* The pixels that the tile does not share with the one before it; what the image does not have is not harmful. */
static void fetch_row(const WinoSide *s, const WinoBlock *b, KV number) {
  enum { LINE = 16 };
  KFn *k = s->k;
  int64_t m = s->p->w->m;
  KV rows = k_i64(k, s->m.cols), t = k_div(k, number, rows), row, col;
  tile_pixel(s, k_add(k, b->tile0, k_rem(k, t, b->tiles)), &row, &col);
  row = k_add(k, row, k_rem(k, number, rows));
  col = k_add(k, col, k_i64(k, s->m.cols - m));
  KV at = k_add(k, k_mul(k, row, k_i64(k, s->extent[1])), col);
  at = k_add(k, k_mul(k, at, k_i64(k, s->channels)),
             plane_start(s, b, block_plane(s, b, k_div(k, t, b->tiles))));
  for (int64_t j = 0; j < m; j++)
    for (int64_t c = 0; c < s->width; c += LINE)
      k_prefetch(k, s->src, k_add(k, at, k_i64(k, j * s->channels + c)));
}

void wino_side_fetch(const WinoSide *s, const WinoBlock *b, int64_t rows) {
  KFn *k = s->k;
  KV tiles = k_mul(k, k_add(k, b->planes, k_i64(k, more_planes(s))), b->tiles);
  k_for(k, k_i64(k, 0), k_i64(k, rows), 1);
  KV number = k_get(k, s->next);
  k_if(k, k_lt(k, number, k_mul(k, tiles, k_i64(k, s->m.cols))));
  fetch_row(s, b, number);
  k_set(k, s->next, k_add(k, number, k_i64(k, 1)));
  k_end(k);
  k_end(k);
}
