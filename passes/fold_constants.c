/* fold_constants.c - see fold_constants.h. Only ops whose float32 result is the exact one rounded once are
 * folded, in double and then rounded, which is the same; exp and its like are left to the kernels. */
#include "passes/fold_constants.h"
#include <math.h>

static bool fold_unary(Op op, double a, double slope, double *v) {
  switch (op) {
  case OP_neg: *v = -a; return true;
  case OP_abs: *v = fabs(a); return true;
  case OP_sqrt: *v = sqrt(a); return a >= 0;
  case OP_floor: *v = floor(a); return true;
  case OP_relu: *v = a > 0 ? a : 0; return !isnan(a);
  case OP_leaky: *v = a > 0 ? a : (float)slope * a; return true;
  default: return false;
  }
}

static bool fold_binary(Op op, double a, double b, double *v) {
  switch (op) {
  case OP_add: *v = a + b; return true;
  case OP_sub: *v = a - b; return true;
  case OP_mul: *v = a * b; return true;
  case OP_div: *v = a / b; return b != 0;
  case OP_min: *v = a < b ? a : b; return !isnan(a);
  case OP_max: *v = a > b ? a : b; return !isnan(a);
  case OP_lt: *v = a < b; return true;
  case OP_le: *v = a <= b; return true;
  case OP_eq: *v = a == b; return true;
  default: return false;
  }
}

static bool fold_cast(const Node *x, Type to, double a, double *v) {
  *v = x->type.dt == F32 && to.dt == I32 ? trunc(a) : a;
  return fabs(*v) < 2147483648.0;
}

/* A move of a repeated number repeats it, where nothing else flows in. */
static bool keeps_splat(Op op) {
  switch (op) {
  case OP_reshape:
  case OP_broadcast:
  case OP_slice:
  case OP_upsample:
  case OP_amax:
  case OP_amin: return true;
  default: return false;
  }
}

bool fold_splat(const Fn *f, const Node *n, double *v) {
  double in[3] = {0};
  bool floats = n->type.dt == F32, known = false;
  if (n->nin < 1 || n->nin > 3) return false;
  for (int k = 0; k < n->nin; k++) {
    const Node *x = &f->node[n->in[k]];
    if (x->op != OP_const) return false;
    in[k] = x->type.dt == F32 ? (double)(float)x->at.value : x->at.value;
    floats &= x->type.dt == F32;
  }
  if (n->op == OP_cast) known = fold_cast(&f->node[n->in[0]], n->type, in[0], v);
  else if (keeps_splat(n->op)) *v = in[0], known = true;
  else if (floats && n->op == OP_sum) {
    int64_t count = type_count(f->node[n->in[0]].type) / type_count(n->type);
    *v = in[0] * (double)count;
    known = count < 1 << 28; /* so that adding one by one in double is exact, too */
  } else if (floats && op_info[n->op].cls == EW) {
    if (n->nin == 1) known = fold_unary(n->op, in[0], n->at.value, v);
    if (n->nin == 2) known = fold_binary(n->op, in[0], in[1], v);
    if (n->op == OP_select) *v = in[in[0] != 0 ? 1 : 2], known = true;
  }
  if (known && n->type.dt == F32) *v = (double)(float)*v;
  return known && isfinite(*v);
}
