/* expand.c - pass `expand`: composites become elementwise ops and reductions, `stop` becomes its operand. */
#include "rewrite.h"

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
static int per_channel(Fn *f, int v, Type x) {
  Type t = {.dt = F32, .rank = x.rank};
  for (int i = 0; i < t.rank; i++) t.dim[i] = i == 1 ? x.dim[1] : 1;
  return ir_reshape(f, v, t);
}

/* (x - mean) * (rsqrt(var + eps) * gamma) + beta: per element one subtraction, one product, one sum. */
static int expand_batchnorm(Fn *f, const int *in, double eps) {
  Type t = f->node[in[0]].type;
  int inv = ir_unary(f, OP_rsqrt, ir_add(f, in[4], ir_const(f, eps)));
  int scale = ir_mul(f, inv, per_channel(f, in[1], t));
  return ir_add(f, ir_mul(f, ir_sub(f, in[0], in[3]), scale), per_channel(f, in[2], t));
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
    default: r.map[i] = rewrite_copy(&r, i);
    }
  }
  return rewrite_end(&r, err);
}
