/* canon.c - pass `canon`: rewrites made before autodiff because the gradient of the result is cheaper.
 *
 * A depthwise convolution is linear per sample and channel, so a factor g[N,C,1..] of its input may move into
 * its kernels: dwconv(x*g, w) = dwconv(x, w*g). The scaled input is then never needed, and the gradient of g
 * is a sum over the few kernel elements instead of one over the image. A gate over space, s[N,1,S], stays
 * where it is.
 *
 * Two pointwise convolutions with nothing but a bias between them are one, conv(conv(x, v) + b, w) = conv(x, w v) + w b, with as many
 * multiply-adds for a pixel as the outer channels have pairs. Where these are fewer - DyBAC's squeeze to one channel - the image in
 * between, its gradient and a wide contraction in each direction go; the gradients of v and w follow from the product's.
 */
#include "passes/passes.h"
#include "passes/graph/rewrite.h"

static bool is_channel_factor(Type g, Type x) {
  if (g.rank != x.rank || g.rank < 3 || g.dt != F32) return false;
  for (int i = 2; i < g.rank; i++)
    if (g.dim[i] != 1) return false;
  return (g.dim[0] == 1 || g.dim[0] == x.dim[0]) && (g.dim[1] == 1 || g.dim[1] == x.dim[1]);
}

/* Splits x = y * g with g a factor per sample and channel and y of x's shape. */
static bool split_factor(const Fn *f, int x, int *y, int *g) {
  const Node *n = &f->node[x];
  if (n->op != OP_mul) return false;
  for (int k = 0; k < 2; k++) {
    *y = n->in[k], *g = n->in[1 - k];
    if (shape_eq(f->node[*y].type, n->type) && is_channel_factor(f->node[*g].type, n->type)) return true;
  }
  return false;
}

/* Takes all such factors out of x and multiplies them into *w; returns what is left of x. */
static int pull_factors(Fn *f, int x, int *w) {
  int y, g;
  while (x >= 0 && *w >= 0 && split_factor(f, x, &y, &g)) {
    *w = ir_mul(f, *w, g);
    x = y;
  }
  return x;
}

/* ---- pointwise convolutions one after the other ---- */

static bool is_pointwise(const Fn *f, const Node *n) { return n->op == OP_conv && node_is_pointwise(f, n); }

/* b[1,C,1..]: one number for each channel of x. */
static bool is_bias(Type b, Type x) {
  if (b.rank != x.rank || b.dt != F32) return false;
  for (int a = 0; a < b.rank; a++)
    if (b.dim[a] != (a == 1 ? x.dim[1] : 1)) return false;
  return true;
}

/* The convolution that `id` is, but for a bias: *bias or -1. Nobody else reads it. */
static const Node *inner_conv(const Fn *f, const Uses *u, const bool *kept, int id, int *bias) {
  const Node *n = &f->node[id];
  *bias = -1;
  for (int k = 0; n->op == OP_add && *bias < 0 && k < 2; k++)
    if (is_bias(f->node[n->in[k]].type, n->type)) *bias = n->in[k], id = n->in[1 - k];
  for (const Node *v = n;; v = &f->node[id]) {
    int at = (int)(v - f->node);
    if (kept[at] || u->first[at + 1] - u->first[at] != 1) return NULL;
    if (at == id) break;
  }
  n = &f->node[id];
  return is_pointwise(f, n) ? n : NULL;
}

/* Convolution n of x with w. To one channel it is a sum over x times one factor a channel: elementwise work then, as are both of its
 * gradients, which goes along with what surrounds it, where a contraction would leave all lanes but one idle. */
static int pointwise(Fn *to, const Node *n, int x, int w) {
  if (n->type.dim[1] > 1) return ir_clone(to, n, (int[]){x, w});
  return ir_sum(to, ir_mul(to, x, w), 1u << 1);
}

/* What outer convolution n of the old function becomes, or -1: it stays. */
static int merge_pointwise(Rewrite *r, const Uses *u, const bool *kept, const Node *n) {
  const Fn *f = r->from;
  Fn *to = r->to;
  int bias;
  const Node *inner = is_pointwise(f, n) ? inner_conv(f, u, kept, n->in[0], &bias) : NULL;
  if (!inner) return -1;
  Type v = f->node[inner->in[1]].type, w = f->node[n->in[1]].type;
  int64_t in = v.dim[1], mid = v.dim[0], out = w.dim[0], pixels = type_count(n->type) / out;
  if (pixels * in * out + out * mid * in >= pixels * mid * (in + out)) return -1;
  Type matrix = {.dt = F32, .rank = 2, .dim = {out, mid}}, column = {.dt = F32, .rank = 2, .dim = {mid, 1}};
  int product = ir_reshape(to, r->map[n->in[1]], matrix);
  int y = pointwise(to, n, r->map[inner->in[0]], ir_matmul(to, product, r->map[inner->in[1]], false));
  if (bias < 0) return y;
  Type row = n->type;
  for (int a = 0; a < row.rank; a++) row.dim[a] = a == 1 ? out : 1;
  int moved = ir_matmul(to, product, ir_reshape(to, r->map[bias], column), false);
  return ir_add(to, y, ir_reshape(to, moved, row));
}

/* Nodes that are stored or returned. */
static bool *kept_nodes(const Fn *f) {
  bool *kept = arena_alloc(f->prog->arena, (size_t)f->n + 1);
  for (int i = 0; i < f->nstore; i++) kept[f->store[i].node] = true;
  for (int i = 0; i < f->nout; i++) kept[f->out[i].node] = true;
  return kept;
}

/* ---- the pass ---- */

Fn *pass_canon(Fn *f, char err[256]) {
  Rewrite r = rewrite_begin(f);
  Uses uses = fn_uses(f);
  const bool *kept = kept_nodes(f);
  for (int i = 0; i < f->n && !r.to->err[0]; i++) {
    const Node *n = &f->node[i];
    r.to->loc = n->loc;
    if (n->op != OP_dwconv) {
      r.map[i] = merge_pointwise(&r, &uses, kept, n);
      if (r.map[i] < 0 && is_pointwise(f, n)) r.map[i] = pointwise(r.to, n, r.map[n->in[0]], r.map[n->in[1]]);
      else if (r.map[i] < 0) r.map[i] = rewrite_copy(&r, i);
      continue;
    }
    int w = r.map[n->in[1]];
    int x = pull_factors(r.to, r.map[n->in[0]], &w);
    if (x < 0 || w < 0) break;
    r.map[i] = ir_clone(r.to, n, (int[]){x, w});
  }
  return rewrite_end(&r, err);
}
