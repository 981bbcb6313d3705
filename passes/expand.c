/* expand.c - pass `expand`: composites become elementwise ops and reductions, `stop` becomes its operand, and interpolation that
 * enlarges several axes goes along one axis after the other where that is less work.
 */
#include <string.h>
#include "passes/passes.h"
#include "passes/graph/rewrite.h"

/* max subtracted, so that exp never overflows */
static int shifted(Fn *f, int x, unsigned axes) { return ir_sub(f, x, ir_reduce(f, OP_amax, x, axes)); }

static int expand_softmax(Fn *f, int x, unsigned axes) {
  int e = ir_unary(f, OP_exp, shifted(f, x, axes));
  return ir_div(f, e, ir_sum(f, e, axes));
}

static int expand_log_softmax(Fn *f, int x, unsigned axes) {
  int d = shifted(f, x, axes);
  return ir_sub(f, d, ir_unary(f, OP_log, ir_sum(f, ir_unary(f, OP_exp, d), axes)));
}

/* (C) as (1,C,1..) of x's rank. */
/* (x - mean) * (rsqrt(var + eps) * gamma) + beta: per element one subtraction, one product, one sum. */
static int expand_batchnorm(Fn *f, const int *in, double eps) {
  int inv = ir_unary(f, OP_rsqrt, ir_add(f, in[4], ir_const(f, eps)));
  int scale = ir_mul(f, inv, ir_per_channel(f, in[1], in[0]));
  return ir_add(f, ir_mul(f, ir_sub(f, in[0], in[3]), scale), ir_per_channel(f, in[2], in[0]));
}

/* One axis of linear interpolation at a time. Of the adjoint a coarse element reads twice the factor f of fine ones along an axis:
 * (2f)^axes of them at once, and axes * 2f one axis after the other, the outermost first, as this leaves the longest rows. The
 * result itself, 2^axes reads, is best made at once, unless its channels are too few for the lanes: then from the innermost axis on, which
 * interpolates in the same order, most of the work is along an outer axis, in rows. */
static int expand_resize(Fn *f, const Node *n, int x) {
  enum { FEW_CHANNELS = 8 };
  Type from = f->node[x].type;
  bool dx = n->op == OP_resize_dx;
  int ns = n->type.rank - 2;
  for (int a = 2; a < n->type.rank; a++)
    if (dx ? n->type.dim[a] > from.dim[a] : n->type.dim[a] < from.dim[a]) return ir_clone(f, n, (int[]){x});
  if (!dx && n->type.dim[1] >= FEW_CHANNELS) return ir_clone(f, n, (int[]){x});
  int64_t size[MAX_SPATIAL];
  memcpy(size, from.dim + 2, (size_t)ns * sizeof *size);
  for (int i = 0; i < ns; i++) {
    int a = dx ? i : ns - 1 - i;
    if (size[a] == n->type.dim[2 + a]) continue;
    size[a] = n->type.dim[2 + a];
    x = ir_resize(f, n->op, x, size, n->at.mode);
  }
  return x;
}

Fn *pass_expand(Fn *f, char err[256]) {
  Rewrite r = rewrite_begin(f);
  for (int i = 0; i < f->n && !r.to->err[0]; i++) {
    const Node *n = &f->node[i];
    int in[MAX_IN];
    for (int k = 0; k < n->nin; k++) in[k] = r.map[n->in[k]];
    r.to->loc = n->loc;
    switch (n->op) {
    case OP_softmax: r.map[i] = expand_softmax(r.to, in[0], 1u << n->at.axis); break;
    case OP_log_softmax: r.map[i] = expand_log_softmax(r.to, in[0], 1u << n->at.axis); break;
    case OP_batchnorm: r.map[i] = expand_batchnorm(r.to, in, n->at.value); break;
    case OP_stop: r.map[i] = in[0]; break;
    case OP_resize:
    case OP_resize_dx: r.map[i] = expand_resize(r.to, n, in[0]); break;
    default: r.map[i] = rewrite_copy(&r, i);
    }
  }
  return rewrite_end(&r, err);
}
