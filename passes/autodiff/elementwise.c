/* elementwise.c - gradient rules of elementwise ops, reductions and composites. y is the op's result, from
 * which the rule is written where that saves keeping the operand. */
#include "passes/autodiff/grad.h"

/* m ? dy : 0 */
static int where(Fn *f, int m, int dy) { return ir_select(f, m, dy, ir_const(f, 0)); }
static int where_not(Fn *f, int m, int dy) { return ir_select(f, m, ir_const(f, 0), dy); }
static int positive(Fn *f, int x) { return ir_binary(f, OP_lt, ir_const(f, 0), x); }

void grad_neg(Sweep *s, const Node *n, int y, int dy) {
  (void)y;
  grad_give(s, n, 0, ir_unary(s->f, OP_neg, dy));
}

void grad_abs(Sweep *s, const Node *n, int y, int dy) {
  (void)y;
  Fn *f = s->f;
  int x = n->in[0], negative = ir_binary(f, OP_lt, x, ir_const(f, 0));
  grad_give(s, n, 0, ir_select(f, positive(f, x), dy, where(f, negative, ir_unary(f, OP_neg, dy))));
}

void grad_exp(Sweep *s, const Node *n, int y, int dy) { grad_give(s, n, 0, ir_mul(s->f, dy, y)); }

void grad_log(Sweep *s, const Node *n, int y, int dy) {
  (void)y;
  grad_give(s, n, 0, ir_div(s->f, dy, n->in[0]));
}

void grad_sqrt(Sweep *s, const Node *n, int y, int dy) {
  grad_give(s, n, 0, ir_div(s->f, ir_scale(s->f, dy, 0.5), y));
}

/* y = x^-1/2, dy/dx = -1/2 x^-3/2 = -y^3/2 */
void grad_rsqrt(Sweep *s, const Node *n, int y, int dy) {
  int cube = ir_mul(s->f, ir_mul(s->f, y, y), y);
  grad_give(s, n, 0, ir_mul(s->f, ir_scale(s->f, dy, -0.5), cube));
}

void grad_cos(Sweep *s, const Node *n, int y, int dy) {
  (void)y;
  grad_give(s, n, 0, ir_unary(s->f, OP_neg, ir_mul(s->f, dy, ir_unary(s->f, OP_sin, n->in[0]))));
}

void grad_sin(Sweep *s, const Node *n, int y, int dy) {
  (void)y;
  grad_give(s, n, 0, ir_mul(s->f, dy, ir_unary(s->f, OP_cos, n->in[0])));
}

/* y (1 - y) */
void grad_sigmoid(Sweep *s, const Node *n, int y, int dy) {
  int slope = ir_mul(s->f, y, ir_sub(s->f, ir_const(s->f, 1), y));
  grad_give(s, n, 0, ir_mul(s->f, dy, slope));
}

/* 1 - y^2 */
void grad_tanh(Sweep *s, const Node *n, int y, int dy) {
  int slope = ir_sub(s->f, ir_const(s->f, 1), ir_mul(s->f, y, y));
  grad_give(s, n, 0, ir_mul(s->f, dy, slope));
}

/* y <= 0 exactly where x <= 0; behind NaN the gradient goes on, so that what is wrong shows. */
void grad_relu(Sweep *s, const Node *n, int y, int dy) {
  grad_give(s, n, 0, where_not(s->f, ir_binary(s->f, OP_le, y, ir_const(s->f, 0)), dy));
}

/* With a slope >= 0 the result's sign tells the operand's. */
void grad_leaky(Sweep *s, const Node *n, int y, int dy) {
  int sign_of = n->at.value >= 0 ? y : n->in[0];
  grad_give(s, n, 0, ir_select(s->f, positive(s->f, sign_of), dy, ir_scale(s->f, dy, n->at.value)));
}

/* e x^(e-1); e = 0, 1, 2 without a power */
void grad_powc(Sweep *s, const Node *n, int y, int dy) {
  (void)y;
  double e = n->at.value;
  Fn *f = s->f;
  if (e == 0) return;
  int power = e == 1 ? dy : ir_mul(f, dy, e == 2 ? n->in[0] : ir_powc(f, n->in[0], e - 1));
  grad_give(s, n, 0, e == 1 ? power : ir_scale(f, power, e));
}

void grad_cast(Sweep *s, const Node *n, int y, int dy) {
  (void)y;
  grad_give(s, n, 0, dy);
}

void grad_add(Sweep *s, const Node *n, int y, int dy) {
  (void)y;
  grad_give(s, n, 0, dy);
  grad_give(s, n, 1, dy);
}

void grad_sub(Sweep *s, const Node *n, int y, int dy) {
  (void)y;
  grad_give(s, n, 0, dy);
  if (grad_wants(s, n, 1)) grad_give(s, n, 1, ir_unary(s->f, OP_neg, dy));
}

void grad_mul(Sweep *s, const Node *n, int y, int dy) {
  (void)y;
  if (grad_wants(s, n, 0)) grad_give(s, n, 0, ir_mul(s->f, dy, n->in[1]));
  if (grad_wants(s, n, 1)) grad_give(s, n, 1, ir_mul(s->f, dy, n->in[0]));
}

/* d(a/b)/db = -(a/b)/b */
void grad_div(Sweep *s, const Node *n, int y, int dy) {
  int share = ir_div(s->f, dy, n->in[1]);
  grad_give(s, n, 0, share);
  if (grad_wants(s, n, 1)) grad_give(s, n, 1, ir_unary(s->f, OP_neg, ir_mul(s->f, share, y)));
}

/* To each operand but where the other is better, or, for b, as good. With NaN no comparison holds: to
 * both. */
static void give_chosen(Sweep *s, const Node *n, bool smaller, int dy) {
  Fn *f = s->f;
  int a = n->in[0], b = n->in[1];
  if (grad_wants(s, n, 0))
    grad_give(s, n, 0, where_not(f, smaller ? ir_binary(f, OP_lt, b, a) : ir_binary(f, OP_lt, a, b), dy));
  if (grad_wants(s, n, 1))
    grad_give(s, n, 1, where_not(f, smaller ? ir_binary(f, OP_le, a, b) : ir_binary(f, OP_le, b, a), dy));
}

void grad_min(Sweep *s, const Node *n, int y, int dy) {
  (void)y;
  give_chosen(s, n, true, dy);
}

void grad_max(Sweep *s, const Node *n, int y, int dy) {
  (void)y;
  give_chosen(s, n, false, dy);
}

void grad_select(Sweep *s, const Node *n, int y, int dy) {
  (void)y;
  if (grad_wants(s, n, 1)) grad_give(s, n, 1, where(s->f, n->in[0], dy));
  if (grad_wants(s, n, 2)) grad_give(s, n, 2, where_not(s->f, n->in[0], dy));
}

void grad_sum(Sweep *s, const Node *n, int y, int dy) {
  (void)y;
  grad_give(s, n, 0, ir_broadcast(s->f, dy, s->f->node[n->in[0]].type));
}

/* Spread evenly over the elements where `worse` is 0: those equal to the extreme, or all where that is
 * NaN. */
static void give_extremes(Sweep *s, const Node *n, int worse, int dy) {
  Fn *f = s->f;
  int equals = ir_sum(f, where_not(f, worse, ir_const(f, 1)), n->at.axes);
  grad_give(s, n, 0, where_not(f, worse, ir_div(f, dy, equals)));
}

void grad_amax(Sweep *s, const Node *n, int y, int dy) {
  give_extremes(s, n, ir_binary(s->f, OP_lt, n->in[0], y), dy);
}

void grad_amin(Sweep *s, const Node *n, int y, int dy) {
  give_extremes(s, n, ir_binary(s->f, OP_lt, y, n->in[0]), dy);
}

/* p (dy - sum p dy) */
void grad_softmax(Sweep *s, const Node *n, int y, int dy) {
  int inner = ir_sum(s->f, ir_mul(s->f, y, dy), 1u << n->at.axis);
  grad_give(s, n, 0, ir_mul(s->f, y, ir_sub(s->f, dy, inner)));
}

/* dy - p sum dy */
void grad_log_softmax(Sweep *s, const Node *n, int y, int dy) {
  int total = ir_sum(s->f, dy, 1u << n->at.axis);
  grad_give(s, n, 0, ir_sub(s->f, dy, ir_mul(s->f, ir_unary(s->f, OP_exp, y), total)));
}

/* With x^ = (x - mean) / sqrt(var + eps) over the M elements of a channel:
 *   dbeta = sum dy,  dgamma = sum dy x^,  dx = gamma / sqrt(var + eps) (dy - dbeta / M - x^ dgamma / M).
 * x^ is computed again from x, so that only x, mean and var live until here. */
void grad_batchnorm(Sweep *s, const Node *n, int y, int dy) {
  (void)y;
  Fn *f = s->f;
  Type t = n->type, c = f->node[n->in[1]].type, c1 = f->node[n->in[3]].type;
  unsigned axes = all_axes(t) & ~2u;
  int inv = ir_unary(f, OP_rsqrt, ir_add(f, n->in[4], ir_const(f, n->at.value)));
  int xhat = ir_mul(f, ir_sub(f, n->in[0], n->in[3]), inv);
  int dbeta = ir_sum(f, dy, axes), dgamma = ir_sum(f, ir_mul(f, dy, xhat), axes);
  double m = (double)type_count(t) / (double)t.dim[1];
  grad_give(s, n, 1, ir_reshape(f, dgamma, c));
  grad_give(s, n, 2, ir_reshape(f, dbeta, c));
  if (!grad_wants(s, n, 0)) return;
  int scale = ir_mul(f, inv, ir_reshape(f, n->in[1], c1));
  int centred = ir_sub(f, dy, ir_scale(f, dbeta, 1 / m));
  int rest = ir_sub(f, centred, ir_mul(f, xhat, ir_scale(f, dgamma, 1 / m)));
  grad_give(s, n, 0, ir_mul(f, rest, scale));
}
