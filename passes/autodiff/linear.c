/* linear.c - gradient rules of contractions and data movement. All are linear in each operand, so each rule is
 * an adjoint: conv, conv_dx and conv_dw are one trilinear form seen from its three sides, and so are the depthwise
 * ones and matmul and inner.
 */
#include "passes/autodiff/grad.h"

static const int64_t *spatial_dims(const Fn *f, int x) { return f->node[x].type.dim + 2; }

static void copy_dims(int64_t to[MAX_SPATIAL], const Fn *f, int x) {
  for (int i = 0; i < MAX_SPATIAL; i++) to[i] = i < f->node[x].type.rank - 2 ? spatial_dims(f, x)[i] : 0;
}

/* The three sides of a convolution. */
typedef struct {
  Op conv, dx, dw;
} Family;
static const Family dense = {OP_conv, OP_conv_dx, OP_conv_dw};
static const Family depthwise = {OP_dwconv, OP_dwconv_dx, OP_dwconv_dw};

static int conv_side(Fn *f, Op op, int a, int b, const Attrs *at, int like) {
  int64_t size[MAX_SPATIAL] = {0};
  if (like >= 0) copy_dims(size, f, like);
  return ir_conv_grad(f, op, a, b, &at->geom, size);
}

/* y = conv(x, w) */
static void conv_rule(Sweep *s, const Node *n, int dy, Family o) {
  int x = n->in[0], w = n->in[1];
  if (grad_wants(s, n, 0)) grad_give(s, n, 0, conv_side(s->f, o.dx, dy, w, &n->at, x));
  if (grad_wants(s, n, 1)) grad_give(s, n, 1, conv_side(s->f, o.dw, x, dy, &n->at, w));
}

/* y = conv_dx(a, w): here dy has the shape of an image and a that of a convolution's result */
static void conv_dx_rule(Sweep *s, const Node *n, int dy, Family o) {
  int a = n->in[0], w = n->in[1];
  if (grad_wants(s, n, 0)) grad_give(s, n, 0, conv_side(s->f, o.conv, dy, w, &n->at, -1));
  if (grad_wants(s, n, 1)) grad_give(s, n, 1, conv_side(s->f, o.dw, dy, a, &n->at, w));
}

/* y = conv_dw(x, a): dy has the shape of a weight */
static void conv_dw_rule(Sweep *s, const Node *n, int dy, Family o) {
  int x = n->in[0], a = n->in[1];
  if (grad_wants(s, n, 0)) grad_give(s, n, 0, conv_side(s->f, o.dx, a, dy, &n->at, x));
  if (grad_wants(s, n, 1)) grad_give(s, n, 1, conv_side(s->f, o.conv, x, dy, &n->at, -1));
}

static bool has_one_reader(const Sweep *s, int x) {
  int readers = 0;
  for (int i = x + 1; i <= s->loss; i++)
    for (int k = 0; k < s->f->node[i].nin; k++) readers += s->f->node[i].in[k] == x;
  return readers == 1;
}

/* The convolution's input is a concatenation of channels that nobody else reads, and larger than the weights: each piece
 * gets its gradient from the weights' slice of its channels, so that the whole one is never made and cut. */
static bool reads_pieces(const Sweep *s, const Node *n) {
  const Node *x = &s->f->node[n->in[0]], *w = &s->f->node[n->in[1]];
  return x->op == OP_concat && x->at.axis == 1 && type_bytes(x->type) > 4 * type_bytes(w->type) &&
         has_one_reader(s, n->in[0]);
}

static void give_pieces(Sweep *s, const Node *n, int dy) {
  Fn *f = s->f;
  Node x = f->node[n->in[0]]; /* by value: slices move the array */
  int64_t lo = 0;
  for (int k = 0; k < x.nin; k++) {
    Type piece = f->node[x.in[k]].type;
    int64_t hi = lo + piece.dim[1];
    if (grad_wants(s, &x, k)) {
      int w = ir_slice(f, n->in[1], 1, lo, hi);
      grad_give(s, &x, k, ir_conv_grad(f, OP_conv_dx, dy, w, &n->at.geom, piece.dim + 2));
    }
    lo = hi;
  }
}

void grad_conv(Sweep *s, const Node *n, int y, int dy) {
  (void)y;
  if (!grad_wants(s, n, 0) || !reads_pieces(s, n)) {
    conv_rule(s, n, dy, dense);
    return;
  }
  give_pieces(s, n, dy);
  if (grad_wants(s, n, 1)) grad_give(s, n, 1, conv_side(s->f, OP_conv_dw, n->in[0], dy, &n->at, n->in[1]));
}
void grad_conv_dx(Sweep *s, const Node *n, int y, int dy) { (void)y, conv_dx_rule(s, n, dy, dense); }
void grad_conv_dw(Sweep *s, const Node *n, int y, int dy) { (void)y, conv_dw_rule(s, n, dy, dense); }
void grad_dwconv(Sweep *s, const Node *n, int y, int dy) { (void)y, conv_rule(s, n, dy, depthwise); }
void grad_dwconv_dx(Sweep *s, const Node *n, int y, int dy) { (void)y, conv_dx_rule(s, n, dy, depthwise); }
void grad_dwconv_dw(Sweep *s, const Node *n, int y, int dy) { (void)y, conv_dw_rule(s, n, dy, depthwise); }

/* y[m,r] = sum_k a[m,k] b[k,r] (mode 0) or a[k,m] b[k,r] (mode 1) */
void grad_matmul(Sweep *s, const Node *n, int y, int dy) {
  (void)y;
  Fn *f = s->f;
  int a = n->in[0], b = n->in[1];
  if (grad_wants(s, n, 0)) grad_give(s, n, 0, n->at.mode ? ir_inner(f, b, dy) : ir_inner(f, dy, b));
  if (grad_wants(s, n, 1)) grad_give(s, n, 1, ir_matmul(f, a, dy, !n->at.mode));
}

/* y[m,k] = sum_r a[m,r] b[k,r] */
void grad_inner(Sweep *s, const Node *n, int y, int dy) {
  (void)y;
  if (grad_wants(s, n, 0)) grad_give(s, n, 0, ir_matmul(s->f, dy, n->in[1], false));
  if (grad_wants(s, n, 1)) grad_give(s, n, 1, ir_matmul(s->f, dy, n->in[0], true));
}

void grad_reshape(Sweep *s, const Node *n, int y, int dy) {
  (void)y;
  grad_give(s, n, 0, ir_reshape(s->f, dy, s->f->node[n->in[0]].type));
}

void grad_broadcast(Sweep *s, const Node *n, int y, int dy) {
  (void)y;
  grad_give(s, n, 0, dy);
}

void grad_concat(Sweep *s, const Node *n, int y, int dy) {
  (void)y;
  int64_t at = 0;
  for (int k = 0; k < n->nin; k++) {
    int64_t end = at + s->f->node[n->in[k]].type.dim[n->at.axis];
    if (grad_wants(s, n, k)) grad_give(s, n, k, ir_slice(s->f, dy, n->at.axis, at, end));
    at = end;
  }
}

void grad_slice(Sweep *s, const Node *n, int y, int dy) {
  (void)y;
  int64_t extent = s->f->node[n->in[0]].type.dim[n->at.axis];
  grad_give(s, n, 0, ir_pad(s->f, dy, n->at.axis, n->at.lo, extent - n->at.hi));
}

void grad_pad(Sweep *s, const Node *n, int y, int dy) {
  (void)y;
  int64_t extent = s->f->node[n->in[0]].type.dim[n->at.axis];
  grad_give(s, n, 0, ir_slice(s->f, dy, n->at.axis, n->at.lo, n->at.lo + extent));
}

void grad_upsample(Sweep *s, const Node *n, int y, int dy) {
  (void)y;
  grad_give(s, n, 0, ir_sumpool(s->f, dy, n->at.geom.stride));
}

void grad_sumpool(Sweep *s, const Node *n, int y, int dy) {
  (void)y;
  grad_give(s, n, 0, ir_upsample(s->f, dy, n->at.geom.stride));
}

void grad_maxpool(Sweep *s, const Node *n, int y, int dy) {
  (void)y;
  grad_give(s, n, 0, ir_maxpool_dx(s->f, n->in[0], dy, &n->at));
}

void grad_resize(Sweep *s, const Node *n, int y, int dy) {
  (void)y;
  int64_t size[MAX_SPATIAL];
  copy_dims(size, s->f, n->in[0]);
  grad_give(s, n, 0, ir_resize(s->f, OP_resize_dx, dy, size, n->at.mode));
}

void grad_resize_dx(Sweep *s, const Node *n, int y, int dy) {
  (void)y;
  int64_t size[MAX_SPATIAL];
  copy_dims(size, s->f, n->in[0]);
  grad_give(s, n, 0, ir_resize(s->f, OP_resize, dy, size, n->at.mode));
}

void grad_orient(Sweep *s, const Node *n, int y, int dy) {
  (void)y;
  grad_give(s, n, 0, ir_orient(s->f, dy, n->in[1], !n->at.mode));
}
