/* recompute.c - rows of a depthwise convolution into scratch, for direct.c. Lanes are channels; a
 * tile of pixels of the row is kept in registers, its ends settled as in codegen/emit/conv/geometry.h. */
#include "codegen/emit/wgrad/wgrad.h"

/* The operand of mul that is one value per pixel, s(N,1,S); the other is x0. */
static bool match_gate(const Fn *f, const Node *mul, WgradInput *in) {
  for (int i = 1; i >= 0; i--) {
    const Type *s = &f->node[mul->in[i]].type, *x = &f->node[mul->in[1 - i]].type;
    bool gate = s->rank == mul->type.rank && s->dim[1] == 1 && s->dim[0] == mul->type.dim[0];
    for (int a = 2; gate && a < s->rank; a++) gate = s->dim[a] == mul->type.dim[a];
    if (!gate || !shape_eq(*x, mul->type)) continue;
    in->gate_node = mul->in[i];
    in->x_node = mul->in[1 - i];
    return true;
  }
  return false;
}

static bool fail(Emit *e, const GroupInfo *g, const char *why) {
  snprintf(e->err, sizeof e->err,
           "conv_dw %%%d: its recomputed input %s; pass fuse must not put them together", g->anchor, why);
  return false;
}

static bool channels_last(const Node *n) {
  uint8_t want[MAX_RANK];
  order_channels_last(want, n->type.rank);
  for (int a = 0; a < n->type.rank; a++)
    if (order_stride(n->type, n->order, a) != order_stride(n->type, want, a)) return false;
  return true;
}

bool wgrad_input_match(Emit *e, const GroupInfo *g, const ConvShape *conv, WgradInput *in) {
  const Fn *f = e->fn;
  int group = f->node[g->anchor].group;
  const Node *dw = &f->node[f->node[g->anchor].in[0]];
  *in = (WgradInput){.gate_node = -1};
  if (dw->group != group) return false;
  if (dw->op != OP_dwconv) return fail(e, g, "is not a dwconv");
  if (!conv_is_pointwise(conv)) return fail(e, g, "feeds a convolution that is not 1x1 of stride 1");
  const Node *x = &f->node[dw->in[0]];
  in->x_node = dw->in[0];
  in->w_node = dw->in[1];
  if (x->group == group && (x->op != OP_mul || !match_gate(f, x, in)))
    return fail(e, g, "reads something other than x * s(N,1,S)");
  const Node *w = &f->node[in->w_node];
  x = &f->node[in->x_node];
  if (!channels_last(x) || !channels_last(w) ||
      (in->gate_node >= 0 && !channels_last(&f->node[in->gate_node])))
    return fail(e, g, "has operands that are not channels last");
  in->s =
      (ConvShape){.ns = conv->ns, .n = x->type.dim[0], .cin = x->type.dim[1], .cout = 1, .geom = dw->at.geom};
  for (int a = 0; a < conv->ns; a++) {
    in->s.in[a] = x->type.dim[2 + a];
    in->s.out[a] = dw->type.dim[2 + a];
    in->s.k[a] = w->type.dim[2 + a];
  }
  return true;
}

static KV arg_of(Build *b, int node) {
  int buf = emit_buffer(b->e, node), i = build_find_arg(b, buf);
  return i >= 0 ? i : build_arg(b, buf, false);
}

void wgrad_input_args(Build *b, WgradInput *in) {
  in->x = arg_of(b, in->x_node);
  in->w = arg_of(b, in->w_node);
  if (in->gate_node >= 0) in->gate = arg_of(b, in->gate_node);
}

int64_t wgrad_input_flops(const WgradInput *in) {
  int64_t gate = in->gate_node >= 0 ? conv_pixels(&in->s, in->s.in) : 0;
  return in->s.cin * (2 * conv_taps(&in->s) * conv_pixels(&in->s, in->s.out) + gate);
}

/* ---- code ---- */

typedef struct {
  KFn *k;
  const WgradInput *in;
  const Panels *p;
  const WgradBox *box;
  const KV *coord; /* of the row: n, outer axes */
  KV cin0;
  KV row;          /* first pixel, or pair, of the row in the panels */
  KV lo, hi;       /* pixels of the row, lo a multiple of the tile */
  KV mask, col;    /* of the lanes: valid ones, place in the slice */
  KV x_row, w_row; /* rows of x0 and of taps, counted over the outer axes */
  KV acc[WGRAD_INPUT_TILE];
  bool pairs;
} RowCode;

static KV load(const RowCode *c, KV buf, KV at) {
  return c->mask == K_NONE ? k_load(c->k, buf, at, true) : k_load_masked(c->k, buf, at, c->mask);
}

/* The taps of the row on a tile from pixel q0 on: each pixel of x0 is loaded once and goes to all its sums. */
static void tile_taps(const RowCode *c, const ConvPhase *ph, const ConvTile *t, KV q0) {
  const ConvShape *s = &c->in->s;
  KFn *k = c->k;
  int last = s->ns - 1;
  KV channel = k_add(k, c->cin0, c->col), *w = arena_alloc(k->arena, (size_t)ph->taps * sizeof *w);
  for (int64_t tap = 0; tap < ph->taps; tap++) {
    KV w_at = k_add(k, k_mul(k, c->w_row, k_i64(k, s->k[last])), k_i64(k, tap));
    w[tap] = load(c, c->in->w, k_add(k, k_mul(k, w_at, k_i64(k, s->cin)), channel));
  }
  KV start = k_add(k, k_mul(k, c->x_row, k_i64(k, s->in[last])), k_mul(k, q0, k_i64(k, ph->istep)));
  for (int64_t u = 0; u < (t->pixels - 1) * ph->istep + ph->taps; u++) {
    KV x = K_NONE, pixel = k_add(k, start, k_i64(k, u + ph->base));
    for (int p = 0; p < t->pixels; p++) {
      int64_t tap = u - p * ph->istep;
      if (tap < t->lo[p] || tap >= t->hi[p]) continue;
      if (x == K_NONE) {
        x = load(c, c->in->x, k_add(k, k_mul(k, pixel, k_i64(k, s->cin)), channel));
        if (c->in->gate_node >= 0) x = k_mul(k, x, k_splat(k, k_load(k, c->in->gate, pixel, false)));
      }
      k_set(k, c->acc[p], k_fma(k, x, w[tap], k_get(k, c->acc[p])));
    }
  }
}

/* Loops over the outer taps that hit x0. */
static void outer_taps(RowCode *c, int axis, const ConvPhase *ph, const ConvTile *t, KV q0) {
  const ConvShape *s = &c->in->s;
  KFn *k = c->k;
  if (axis == s->ns - 1) {
    tile_taps(c, ph, t, q0);
    return;
  }
  KV at = k_sub(k, k_mul(k, c->coord[1 + axis], k_i64(k, s->geom.stride[axis])), k_i64(k, s->geom.pad[axis]));
  KV lo = k_max(k, k_i64(k, 0), k_sub(k, k_i64(k, 0), at));
  KV hi = k_min(k, k_i64(k, s->k[axis]), k_sub(k, k_i64(k, s->in[axis]), at));
  KV j = k_for(k, lo, hi, 1), x_row = c->x_row, w_row = c->w_row;
  c->x_row = k_add(k, k_mul(k, x_row, k_i64(k, s->in[axis])), k_add(k, at, j));
  c->w_row = k_add(k, k_mul(k, w_row, k_i64(k, s->k[axis])), j);
  outer_taps(c, axis + 1, ph, t, q0);
  c->x_row = x_row;
  c->w_row = w_row;
  k_end(k);
}

/* A tile for the lanes at place c->col of the slice. Lanes beyond the channels store zeros into the panel's rest. */
static void tile_lanes(RowCode *c, const ConvPhase *ph, const ConvTile *t, KV q0) {
  KFn *k = c->k;
  KV width = k_i64(k, c->p->width);
  tile_zero(k, c->acc, t->pixels);
  c->x_row = c->w_row = c->coord[0];
  outer_taps(c, 0, ph, t, q0);
  KV panel = k_add(k, k_mul(k, k_div(k, c->col, width), k_i64(k, c->p->size)), k_rem(k, c->col, width));
  KV place = k_sub(k, q0, c->lo), zero = k_splat(k, k_f32(k, 0));
  if (c->pairs) place = k_div(k, place, k_i64(k, 2));
  for (int p = 0; p < t->pixels; p += c->pairs ? 2 : 1) {
    KV at = k_mul(k, k_add(k, c->row, k_add(k, place, k_i64(k, c->pairs ? p / 2 : p))), width);
    KV v = k_get(k, c->acc[p]);
    if (c->pairs) v = k_pair(k, v, p + 1 < t->pixels ? k_get(k, c->acc[p + 1]) : zero);
    else if (c->p->round) v = k_un(k, K_bf16, v);
    k_store(k, c->p->z, k_add(k, panel, at), v);
  }
}

/* The row at c->coord, tiles from c->lo to c->hi. All channels of a tile before the next: x0 is read as it lies in memory. */
static void row(RowCode *c) {
  const ConvShape *s = &c->in->s;
  KFn *k = c->k;
  int64_t channels = c->p->channels, full = channels - channels % k->lanes, *order;
  ConvPhase *ph;
  ConvTile *tile;
  conv_phases(k->arena, s, &ph, &order);
  int n = conv_tiles(k->arena, ph, s->in[s->ns - 1], WGRAD_INPUT_TILE, &tile);
  for (int i = 0; i < n; i++) {
    const ConvTile *t = &tile[i];
    KV from = k_max(k, k_i64(k, t->q0), c->lo), end = k_i64(k, t->q0 + t->count * t->pixels);
    KV q0 = k_for(k, from, k_min(k, end, c->hi), t->pixels);
    c->mask = K_NONE;
    if (full) {
      c->col = k_for(k, k_i64(k, 0), k_i64(k, full), k->lanes);
      tile_lanes(c, ph, t, q0);
      k_end(k);
    }
    if (full < channels) {
      c->mask = k_first_lanes(k, k_i64(k, channels - full));
      c->col = k_i64(k, full);
      tile_lanes(c, ph, t, q0);
    }
    k_end(k);
  }
}

void wgrad_input_box(KFn *k, const WgradInput *in, const Panels *p, const WgradBox *box, KV cin0,
                     bool pairs) {
  const ConvShape *s = &in->s;
  RowCode c = {.k = k, .in = in, .p = p, .cin0 = cin0, .pairs = pairs};
  KV coord[MAX_AXES], number = k_i64(k, 0), *acc = tile_locals(k->arena, k, WGRAD_INPUT_TILE);
  for (int i = 0; i < WGRAD_INPUT_TILE; i++) c.acc[i] = acc[i];
  for (int a = 0; a < s->ns; a++) {
    coord[a] = k_for(k, box->lo[a], box->hi[a], 1);
    number = k_add(k, k_mul(k, number, k_sub(k, box->hi[a], box->lo[a])), k_sub(k, coord[a], box->lo[a]));
  }
  c.coord = coord;
  c.lo = box->lo[s->ns], c.hi = box->hi[s->ns];
  KV places = k_sub(k, c.hi, c.lo);
  if (pairs) places = k_div(k, k_add(k, places, k_i64(k, 1)), k_i64(k, 2));
  c.row = k_mul(k, number, places);
  row(&c);
  for (int a = 0; a < s->ns; a++) k_end(k);
}
