/* code.c - the steps of a Winograd convolution: tiles of the operand transformed, products, results transformed back
 * and given to the epilogue (winograd.h). */
#include "codegen/emit/winograd/winograd.h"

/* Where a tile of the block lies: image, and coordinates of its first result in the plane. */
typedef struct {
  KV image, row, col;
} TilePlace;

static TilePlace tile_place(const WinoCode *c, KV tile) {
  const WinoPlan *pl = c->pl;
  KFn *k = c->k;
  KV at = k_add(k, c->tile0, tile), in_plane = k_rem(k, at, k_i64(k, pl->plane_tiles));
  KV cols = k_i64(k, pl->tile_cols);
  return (TilePlace){k_div(k, at, k_i64(k, pl->plane_tiles)),
                     k_mul(k, k_div(k, in_plane, cols), k_i64(k, pl->wy->m)),
                     k_mul(k, k_rem(k, in_plane, cols), k_i64(k, pl->wx->m))};
}

/* ---- tiles of the operand ---- */

typedef struct {
  const WinoCode *c;
  KV at; /* element of point 0 */
} Planes;

static void put_point(void *to, int i, int j, KV v) {
  const Planes *p = to;
  const WinoCode *c = p->c;
  k_store(c->k, c->v, k_add(c->k, p->at, k_i64(c->k, (i * c->pl->wx->n + j) * c->mem->v_plane)), v);
}

/* A plane beyond the operand's first or last one is 0. */
static KV slice_valid(const WinoCode *c, KV depth) {
  const WinoShape *s = &c->pl->s;
  KFn *k = c->k;
  if (s->taps == 1 && s->depth_pad == 0 && c->pl->slab == 1) return K_NONE;
  return k_and(k, k_le(k, k_i64(k, 0), depth), k_lt(k, depth, k_i64(k, s->depth_in)));
}

void wino_input(WinoCode *c, KV slice, KV tile) {
  const WinoShape *s = &c->pl->s;
  KFn *k = c->k;
  const Wino *wy = c->pl->wy, *wx = c->pl->wx;
  TilePlace t = tile_place(c, tile);
  KV depth = k_sub(k, k_add(k, c->depth0, slice), k_i64(k, s->depth_pad));
  KV row = k_sub(k, t.row, k_i64(k, s->row_pad)), col = k_sub(k, t.col, k_i64(k, s->col_pad));
  KV plane = k_add(k, k_mul(k, t.image, k_i64(k, s->depth_in)), depth);
  plane = k_mul(k, plane, k_i64(k, s->rows_in * s->cols_in * s->cin));
  WinoImage im = {.k = k,
                  .buf = c->operand,
                  .rows = s->rows_in,
                  .cols = s->cols_in,
                  .row = s->cols_in * s->cin,
                  .pixel = s->cin,
                  .valid = slice_valid(c, depth)};
  KV to = k_mul(k, k_add(k, k_mul(k, slice, k_i64(k, c->pl->run)), tile), k_i64(k, c->mem->pitch));
  KV inside = wino_inside(&im, row, col, wy->n, wx->n),
     channel = k_for(k, k_i64(k, 0), k_i64(k, s->cin), k->lanes);
  Planes planes = {c, k_add(k, to, channel)};
  WinoEnds ends = {wino_pixel, &im, put_point, &planes};
  im.plane = k_add(k, plane, channel);
  im.mask = s->cin % k->lanes ? k_first_lanes(k, k_sub(k, k_i64(k, s->cin), channel)) : K_NONE;
  k_if(k, inside);
  wino_pixels(&im, row, col, wy->n, wx->n, true);
  wino_both_sides(k, &wy->bt, &wx->bt, &ends);
  k_else(k);
  wino_pixels(&im, row, col, wy->n, wx->n, false);
  wino_both_sides(k, &wy->bt, &wx->bt, &ends);
  k_end(k);
  k_end(k);
}

/* ---- products ---- */

/* Rows row .. row + rows - 1 of M at m_at. */
static void product_rows(WinoCode *c, KV v_at, KV u_at, KV m_at, KV row, int rows, int vectors) {
  const WinoMemory *mem = c->mem;
  const WinoShape *s = &c->pl->s;
  KFn *k = c->k;
  MicroTile mt = {.k = k,
                  .a = c->v,
                  .b = c->u,
                  .ap = mem->pitch,
                  .am = mem->pairs ? 2 : 1,
                  .pairs = mem->pairs,
                  .bm = mem->width,
                  .vectors = vectors,
                  .unroll = 4,
                  .mask = K_NONE,
                  .acc = c->acc};
  tile_zero(k, c->acc, rows * vectors);
  KV tap = s->taps > 1 ? k_for(k, k_i64(k, 0), k_i64(k, s->taps), 1) : k_i64(k, 0);
  KV from = k_mul(k, k_add(k, row, k_mul(k, tap, k_i64(k, c->pl->run))), k_i64(k, mem->pitch));
  KV panel = k_add(k, u_at, k_mul(k, tap, k_i64(k, mem->depth * mem->width)));
  tile_fma(&mt, 0, rows, k_add(k, v_at, from), panel, k_i64(k, mem->depth));
  if (s->taps > 1) k_end(k);
  KV to = k_add(k, m_at, k_mul(k, row, k_i64(k, mem->width)));
  for (int p = 0; p < rows; p++)
    for (int v = 0; v < vectors; v++)
      k_store(k, c->m, k_add(k, to, k_i64(k, p * mem->width + v * k->lanes)),
              k_get(k, c->acc[p * vectors + v]));
}

void wino_product(WinoCode *c, KV point, KV u_at, KV m_at, int vectors) {
  KFn *k = c->k;
  int64_t rows = wino_m_rows(c->pl), high = c->mem->b.pixels, full = rows / high * high;
  KV v_at = k_mul(k, point, k_i64(k, c->mem->v_plane));
  if (full) {
    KV row = k_for(k, k_i64(k, 0), k_i64(k, full), high);
    product_rows(c, v_at, u_at, m_at, row, (int)high, vectors);
    k_end(k);
  }
  if (rows > full) product_rows(c, v_at, u_at, m_at, k_i64(k, full), (int)(rows - full), vectors);
}

/* ---- results ---- */

typedef struct {
  WinoCode *c;
  KV at;       /* element of point 0 in M */
  KV row, col; /* of the tile's first result */
  bool inside; /* all results are there */
} Results;

static KV get_product(void *from, int i, int j) {
  const Results *r = from;
  const WinoCode *c = r->c;
  return k_load(c->k, c->m, k_add(c->k, r->at, k_i64(c->k, (i * c->pl->wx->n + j) * c->mem->m_plane)), true);
}

static void put_result(void *to, int i, int j, KV v) {
  const Results *r = to;
  WinoCode *c = r->c;
  const WinoShape *s = &c->pl->s;
  KFn *k = c->k;
  int last = c->place.domain.rank - 1;
  KV row = k_add(k, r->row, k_i64(k, i)), col = k_add(k, r->col, k_i64(k, j));
  c->place.coord[last - 1] = row;
  c->place.coord[last] = col;
  expr_at(c->x, &c->place);
  if (!r->inside) k_if(k, k_and(k, k_lt(k, row, k_i64(k, s->rows_out)), k_lt(k, col, k_i64(k, s->cols_out))));
  expr_epilogue(c->x, c->g, v);
  if (!r->inside) k_end(k);
}

static void output_vector(WinoCode *c, const TilePlace *t, KV m_at, KV channel, KV mask) {
  const WinoShape *s = &c->pl->s;
  KFn *k = c->k;
  const Wino *wy = c->pl->wy, *wx = c->pl->wx;
  bool partial = s->rows_out % wy->m || s->cols_out % wx->m;
  Results r = {c, m_at, t->row, t->col, true};
  WinoEnds ends = {get_product, &r, put_result, &r};
  c->place.coord[1] = channel;
  c->place.mask = mask;
  if (partial)
    k_if(k, k_and(k, k_le(k, t->row, k_i64(k, s->rows_out - wy->m)),
                  k_le(k, t->col, k_i64(k, s->cols_out - wx->m))));
  wino_both_sides(k, &wy->at, &wx->at, &ends);
  if (!partial) return;
  k_else(k);
  r.inside = false;
  wino_both_sides(k, &wy->at, &wx->at, &ends);
  k_end(k);
}

void wino_output(WinoCode *c, KV depth, KV tile, KV block, KV m_at, bool tail) {
  const WinoMemory *mem = c->mem;
  KFn *k = c->k;
  TilePlace t = tile_place(c, tile);
  int vectors = conv_block_vectors(&mem->b, tail), whole = tail && mem->b.tail_lanes ? vectors - 1 : vectors;
  KV row = k_add(k, k_mul(k, depth, k_i64(k, c->pl->run)), tile);
  KV at = k_add(k, m_at, k_mul(k, row, k_i64(k, mem->width))),
     channel = k_mul(k, block, k_i64(k, mem->width));
  c->place.coord[0] = t.image;
  if (c->place.domain.rank == 5) c->place.coord[2] = k_add(k, c->depth0, depth);
  if (whole) {
    KV lane = k_for(k, k_i64(k, 0), k_i64(k, whole * k->lanes), k->lanes);
    output_vector(c, &t, k_add(k, at, lane), k_add(k, channel, lane), K_NONE);
    k_end(k);
  }
  if (whole == vectors) return;
  KV lane = k_i64(k, whole * k->lanes), mask = k_first_lanes(k, k_i64(k, mem->b.tail_lanes));
  output_vector(c, &t, k_add(k, at, lane), k_add(k, channel, lane), mask);
}
