/* geometry.c - shapes of convolutions, phases and tiles of the innermost axis, choice of the register tile.
 */
#include "codegen/emit/conv/geometry.h"
#include "ir/ints.h"
#include <string.h>

/* Does a value of type t with this order lie in memory as with order `want`? Axes of extent 1 lie anywhere.
 */
static bool lies_as(Type t, const uint8_t *order, const uint8_t *want) {
  for (int a = 0; a < t.rank; a++)
    if (order_stride(t, order, a) != order_stride(t, want, a)) return false;
  return true;
}

static bool check_order(const Fn *f, int node, bool weights, char err[256]) {
  const Node *nd = &f->node[node];
  uint8_t want[MAX_RANK];
  order_identity(want);
  if (weights) order_weights(want, nd->type.rank);
  else order_channels_last(want, nd->type.rank);
  if (lies_as(nd->type, nd->order, want)) return true;
  snprintf(err, 256,
           "convolution: operand %%%d (%s) of function %s must lie %s in memory; pass layout sets that", node,
           op_info[nd->op].name, f->name, weights ? "as (K.., C, O)" : "channels last");
  return false;
}

/* Where operands are to be rounded, images must have been: stored as bf16, or made in the group, by code that rounds. */
static bool check_bf16(const Fn *f, const Node *nd, int images, char err[256]) {
  for (int i = 0; i < images; i++) {
    const Node *x = &f->node[nd->in[i]];
    if (x->type.dt == BF16 || (x->group >= 0 && x->group == nd->group)) continue;
    snprintf(
        err, 256,
        "convolution with bf16=1: operand %%%d (%s) of function %s must be bf16; pass precision sets that",
        nd->in[i], op_info[x->op].name, f->name);
    return false;
  }
  return true;
}

bool conv_shape(const Fn *f, const Node *nd, ConvShape *s, char err[256]) {
  int self = (int)(nd - f->node);
  bool dw = nd->op == OP_conv_dw;
  if (!check_order(f, nd->in[0], false, err) || !check_order(f, nd->in[1], !dw, err) ||
      !check_order(f, self, dw, err))
    return false;
  if (nd->at.bf16 && !check_bf16(f, nd, dw ? 2 : 1, err)) return false;
  const Type *a = &f->node[nd->in[0]].type, *b = &f->node[nd->in[1]].type, *y = &nd->type;
  const Type *w = dw ? y : b, *out = dw ? b : y;
  *s = (ConvShape){.ns = a->rank - 2, .n = a->dim[0], .cin = a->dim[1], .cout = out->dim[1]};
  s->back = nd->op == OP_conv_dx;
  s->bf16 = nd->at.bf16;
  s->geom = nd->at.geom;
  for (int i = 0; i < s->ns; i++) {
    s->in[i] = a->dim[2 + i];
    s->out[i] = out->dim[2 + i];
    s->k[i] = w->dim[2 + i];
  }
  return true;
}

bool conv_is_pointwise(const ConvShape *s) { return geom_is_pointwise(&s->geom, s->k, s->ns); }

void conv_fold(ConvShape *s, int64_t rows) {
  enum { LONGEST = 512, USUAL = 64, SHORTEST = 32 };
  if (s->out[s->ns - 1] == 1) return; /* that axis has no stride in memory to count pixels by */
  if (!conv_is_pointwise(s)) return;
  int64_t pixels = conv_pixels(s, s->out) / s->n;
  int64_t row = min64(pixels, min64(max64(pixels * s->n / rows, USUAL), LONGEST));
  while (pixels % row) row--;
  if (row < SHORTEST && row < s->out[s->ns - 1]) return;
  s->ns = 2;
  s->folded = true;
  s->in[0] = s->out[0] = pixels / row;
  s->in[1] = s->out[1] = row;
  s->k[0] = s->k[1] = 1;
  s->geom = geom_unit;
}

bool conv_pairs(const ConvShape *s, int isa) {
  return s->bf16 && isa == NETC_ISA_AVX512_BF16 && s->cin % 2 == 0;
}

int64_t conv_taps(const ConvShape *s) {
  int64_t n = 1;
  for (int i = 0; i < s->ns; i++) n *= s->k[i];
  return n;
}

int64_t conv_pixels(const ConvShape *s, const int64_t *extent) {
  int64_t n = s->n;
  for (int i = 0; i < s->ns; i++) n *= extent[i];
  return n;
}

int64_t conv_rows(const ConvShape *s) { return conv_pixels(s, s->out) / s->out[s->ns - 1]; }

int conv_phases(Arena *a, const ConvShape *s, ConvPhase **phase, int64_t **order) {
  int in = s->ns - 1;
  int64_t k = s->k[in], st = s->geom.stride[in], p = s->geom.pad[in], wpos = 0;
  int n = s->back ? (int)min64(st, s->out[in]) : 1;
  int64_t *ord = arena_alloc(a, (size_t)k * sizeof *ord);
  ConvPhase *ph = arena_alloc(a, (size_t)n * sizeof *ph);
  if (!s->back) {
    ph[0] = (ConvPhase){.ostep = 1, .count = s->out[in], .istep = st, .base = -p, .taps = k};
    for (int64_t t = 0; t < k; t++) ord[t] = t;
  }
  /* Pixel i = r + q*st meets tap t = t0 + st*j at (i + p - t) / st = q + (r + p) / st - j: descending in j,
   * so the taps are taken from the last to the first. */
  for (int r = 0; s->back && r < n; r++) {
    int64_t t0 = (r + p) % st, taps = t0 < k ? ceil_div(k - t0, st) : 0;
    ph[r] = (ConvPhase){.out0 = r, .ostep = st, .count = ceil_div(s->out[in] - r, st), .istep = 1};
    ph[r].base = (r + p) / st - (taps - 1);
    ph[r].taps = taps;
    ph[r].wpos = wpos;
    for (int64_t t = 0; t < taps; t++) ord[wpos++] = t0 + st * (taps - 1 - t);
  }
  *phase = ph;
  *order = ord;
  return n;
}

/* Taps of pixel q that hit the operand. */
static void pixel_taps(const ConvPhase *ph, int64_t in, int64_t q, int64_t *lo, int64_t *hi) {
  int64_t at = q * ph->istep + ph->base;
  *lo = min64(max64(-at, 0), ph->taps);
  *hi = max64(min64(in - at, ph->taps), *lo);
}

static bool same_code(const ConvTile *a, const ConvTile *b) {
  size_t bytes = (size_t)a->pixels * sizeof *a->lo;
  return a->pixels == b->pixels && !memcmp(a->lo, b->lo, bytes) && !memcmp(a->hi, b->hi, bytes);
}

int conv_tiles(Arena *a, const ConvPhase *ph, int64_t in, int pixels, ConvTile **tile) {
  ConvTile *list = NULL;
  int n = 0, cap = 0;
  for (int64_t q = 0; q < ph->count; q += pixels) {
    ConvTile t = {.q0 = q, .count = 1, .pixels = (int)min64(pixels, ph->count - q)};
    t.lo = arena_alloc(a, (size_t)t.pixels * 2 * sizeof *t.lo);
    t.hi = t.lo + t.pixels;
    for (int p = 0; p < t.pixels; p++) pixel_taps(ph, in, q + p, &t.lo[p], &t.hi[p]);
    if (n && same_code(&list[n - 1], &t)) list[n - 1].count++;
    else *ARENA_PUSH(a, list, n, cap) = t;
  }
  *tile = list;
  return n;
}

/* Cycles, roughly, that one channel takes in a tile of p pixels and v vectors: multiply-adds, but no fewer
 * than their latency and the loads allow, and a little for what cannot be overlapped. Pixels whose distance
 * is a multiple of half a page fall into few cache sets: of such no more than eight per set may be in use at
 * once. */
static double tile_cost(int64_t p, int64_t v, int64_t step) {
  double work = (double)max64(max64(p * v, p + v), 8) + 0.2 * (double)p + 0.5 * (double)v;
  int64_t ways = step * 4 % 4096 == 0 ? 7 : step * 4 % 2048 == 0 ? 14 : p;
  return work + (double)max64(p - ways, 0);
}

static double row_cost(const int64_t *length, int nlength, int64_t p, int64_t v, int64_t step) {
  double sum = 0;
  for (int i = 0; i < nlength; i++) {
    sum += (double)(length[i] / p) * tile_cost(p, v, step);
    if (length[i] % p) sum += tile_cost(length[i] % p, v, step);
  }
  return sum;
}

ConvBlock conv_block_within(int most, const int64_t *length, int nlength, int64_t cout, int64_t step,
                            int lanes, int nregs) {
  int64_t vecs = ceil_div(cout, lanes), longest = 1;
  for (int i = 0; i < nlength; i++) longest = max64(longest, length[i]);
  ConvBlock best = {.lanes = lanes};
  double least = 0;
  for (int64_t v = 1; v <= min64(vecs, most); v++)
    for (int64_t p = 1; p <= longest && p * v + v + 1 <= nregs; p++) {
      double cost = row_cost(length, nlength, p, v, step) * (double)(vecs / v);
      if (vecs % v) cost += row_cost(length, nlength, p, vecs % v, step);
      if (best.pixels && cost >= least) continue;
      least = cost;
      best.pixels = (int)p;
      best.vectors = (int)v;
    }
  best.tail_lanes = (int)(cout % lanes);
  best.full = vecs / best.vectors;
  best.tail_vectors = (int)(vecs % best.vectors);
  if (best.tail_lanes && !best.tail_vectors) {
    best.tail_vectors = best.vectors;
    best.full--;
  }
  best.blocks = best.full + (best.tail_vectors > 0);
  return best;
}

ConvBlock conv_block(const int64_t *length, int nlength, int64_t cout, int64_t step, int lanes, int nregs) {
  return conv_block_within(6, length, nlength, cout, step, lanes, nregs);
}

int conv_block_vectors(const ConvBlock *b, bool tail) { return tail ? b->tail_vectors : b->vectors; }

const char *conv_describe(Arena *a, const ConvShape *s) {
  static const char axis[] = "dhw";
  const int64_t *extent = s->back ? s->out : s->in;
  char *text = arena_printf(a, "n%ld_ic%ld_oc%ld", (long)s->n, (long)(s->back ? s->cout : s->cin),
                            (long)(s->back ? s->cin : s->cout));
  const char *name = axis + MAX_SPATIAL - s->ns;
  bool same = true;
  for (int i = 0; i < s->ns; i++) {
    text = arena_printf(a, "%s_%c%ld", text, name[i], (long)extent[i]);
    same = same && s->geom.stride[i] == s->geom.stride[0] && s->geom.pad[i] == s->geom.pad[0];
  }
  for (int i = 0; i < s->ns; i++) text = arena_printf(a, "%s_k%c%ld", text, name[i], (long)s->k[i]);
  if (same) return arena_printf(a, "%s_s%ld_p%ld", text, (long)s->geom.stride[0], (long)s->geom.pad[0]);
  for (int i = 0; i < s->ns; i++)
    text = arena_printf(a, "%s_s%c%ld_p%c%ld", text, name[i], (long)s->geom.stride[i], name[i],
                        (long)s->geom.pad[i]);
  return text;
}
