/* canon.c - pass `canon`: rewrites made before autodiff because the gradient of the result is cheaper.
 *
 * A depthwise convolution is linear per sample and channel, so a factor g[N,C,1..] of its input may move into
 * its kernels: dwconv(x*g, w) = dwconv(x, w*g). The scaled input is then never needed, and the gradient of g
 * is a sum over the few kernel elements instead of one over the image. A gate over space, s[N,1,S], stays
 * where it is.
 */
#include "rewrite.h"

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

Fn *pass_canon(Fn *f, char err[256]) {
  Rewrite r = rewrite_begin(f);
  for (int i = 0; i < f->n && !r.to->err[0]; i++) {
    const Node *n = &f->node[i];
    if (n->op != OP_dwconv) {
      r.map[i] = rewrite_copy(&r, i);
      continue;
    }
    int w = r.map[n->in[1]];
    r.to->loc = n->loc;
    int x = pull_factors(r.to, r.map[n->in[0]], &w);
    if (x < 0 || w < 0) break;
    r.map[i] = ir_clone(r.to, n, (int[]){x, w});
  }
  return rewrite_end(&r, err);
}
