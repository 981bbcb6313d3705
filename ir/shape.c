/* shape.c - one shape rule per name in the shape column of ops.def.
 *
 * A rule sees the operands' types and the attributes and writes the result's type. Every failure is one
 * sentence behind "OP of TYPE and TYPE: ", so that both shapes are always told. */
#include "ir/ir.h"
#include <stdarg.h>
#include <string.h>

enum { MAX_MODE = 1 };
static const int64_t MAX_EXTENT = INT32_MAX; /* keeps sums like S + 2p far from overflow */

typedef struct {
  Op op;
  int nin;
  const Type *in;
  const Attrs *at;
  const Type *given; /* the type asked for, or NULL */
  Type *out;
  char *err;
} Rule;

__attribute__((format(printf, 2, 3))) static bool fail(const Rule *r, const char *fmt, ...) {
  char buf[96];
  ir_error(r->err, "%s", op_info[r->op].name);
  for (int i = 0; i < r->nin && i < 2; i++)
    ir_error_more(r->err, "%s%s", i ? " and " : " of ", type_str(r->in[i], buf));
  ir_error_more(r->err, ": ");
  va_list ap;
  va_start(ap, fmt);
  ir_verror_more(r->err, fmt, ap);
  va_end(ap);
  return false;
}

/* ---- checks shared by rules ---- */

static bool need_f32(const Rule *r) {
  for (int i = 0; i < r->nin; i++)
    if (r->in[i].dt != F32) return fail(r, "operand %d must be f32; cast it first", i + 1);
  return true;
}

static bool need_axis(const Rule *r, int rank) {
  if (r->at->axis >= 0 && r->at->axis < rank) return true;
  return fail(r, "axis %d does not exist, the rank is %d", r->at->axis, rank);
}

static bool need_mode(const Rule *r) {
  if (r->at->mode >= 0 && r->at->mode <= MAX_MODE) return true;
  return fail(r, "mode must be 0 or 1, not %d", r->at->mode);
}

/* The first operand is image-like: (N,C,S) with one to three spatial axes. */
static bool need_image(const Rule *r) {
  int rank = r->in[0].rank;
  if (rank >= 3 && rank <= 2 + MAX_SPATIAL) return true;
  return fail(r, "the first operand must be (N,C,S..) with 1 to 3 spatial axes, its rank is %d", rank);
}

static bool need_range(const Rule *r, const char *what, const int64_t *list, int n, int64_t low) {
  for (int i = 0; i < n; i++)
    if (list[i] < low || list[i] > MAX_EXTENT)
      return fail(r, "%s of spatial axis %d is %lld, must be %lld or more", what, i, (long long)list[i],
                  (long long)low);
  return true;
}

/* Windows of extent k over s elements of a spatial axis; 0 when not even one fits. */
static int64_t windows(const ConvGeom *g, int axis, int64_t s, int64_t k) {
  int64_t padded = s + 2 * g->pad[axis];
  return padded < k ? 0 : (padded - k) / g->stride[axis] + 1;
}

static bool need_windows(const Rule *r, const int64_t *s, const int64_t *k, int n, int64_t *out) {
  const ConvGeom *g = &r->at->geom;
  if (!need_range(r, "stride", g->stride, n, 1) || !need_range(r, "pad", g->pad, n, 0)) return false;
  for (int i = 0; i < n; i++) {
    out[i] = windows(g, i, s[i], k[i]);
    if (!out[i])
      return fail(r,
                  "the window of %lld is larger than the %lld elements of spatial axis %d with padding %lld",
                  (long long)k[i], (long long)s[i], i, (long long)g->pad[i]);
  }
  return true;
}

/* dy must have the extents that windows of k over s give. */
static bool need_adjoint(const Rule *r, const int64_t *s, const int64_t *k, const int64_t *dy, int n) {
  int64_t out[MAX_SPATIAL];
  if (!need_windows(r, s, k, n, out)) return false;
  for (int i = 0; i < n; i++)
    if (out[i] != dy[i])
      return fail(r, "spatial axis %d: windows of %lld over %lld give %lld, but dy has %lld", i,
                  (long long)k[i], (long long)s[i], (long long)out[i], (long long)dy[i]);
  return true;
}

static bool need_ranks(const Rule *r) {
  if (r->in[0].rank == r->in[1].rank) return true;
  return fail(r, "ranks %d and %d must be equal", r->in[0].rank, r->in[1].rank);
}

static bool need_equal(const Rule *r, const char *what, int64_t a, int64_t b) {
  if (a == b) return true;
  return fail(r, "%s differ: %lld and %lld", what, (long long)a, (long long)b);
}

/* Grow shape *t so that x broadcasts to it: equal rank with extents equal or 1, or rank 0. */
static bool join(const Rule *r, Type *t, Type x) {
  if (x.rank == 0) return true;
  if (t->rank == 0) {
    t->rank = x.rank;
    memcpy(t->dim, x.dim, sizeof t->dim);
    return true;
  }
  if (t->rank != x.rank)
    return fail(r, "ranks %d and %d do not broadcast; reshape one of them", t->rank, x.rank);
  for (int i = 0; i < x.rank; i++) {
    if (t->dim[i] != x.dim[i] && t->dim[i] != 1 && x.dim[i] != 1)
      return fail(r, "extents %lld and %lld of axis %d do not broadcast", (long long)t->dim[i],
                  (long long)x.dim[i], i);
    if (x.dim[i] != 1) t->dim[i] = x.dim[i];
  }
  return true;
}

static void set_spatial(Type *t, const int64_t *s, int n) {
  for (int i = 0; i < n; i++) t->dim[2 + i] = s[i];
}

/* ---- leaves, elementwise ---- */

static bool shape_given(Rule *r) {
  if (!r->given) return fail(r, "needs a type");
  *r->out = *r->given;
  if ((op_info[r->op].attrs & A_SYM) && !r->at->sym) return fail(r, "needs a name");
  if (r->op == OP_rand) {
    if (r->given->dt != F32) return fail(r, "random numbers are f32");
    return need_mode(r);
  }
  if (r->op != OP_iota) return true;
  if (!need_axis(r, r->given->rank)) return false;
  for (int i = 0; i < r->given->rank; i++)
    if (i != r->at->axis && r->given->dim[i] != 1)
      return fail(r, "axis %d has extent %lld; only axis %d may have more than 1", i,
                  (long long)r->given->dim[i], r->at->axis);
  return true;
}

static bool shape_same(Rule *r) {
  *r->out = r->in[0];
  bool any = r->op == OP_neg || r->op == OP_abs || r->op == OP_stop;
  if (!any && !need_f32(r)) return false;
  return !(op_info[r->op].attrs & A_AXIS) || need_axis(r, r->in[0].rank);
}

static bool shape_cast(Rule *r) {
  if (!r->given) return fail(r, "needs a type");
  *r->out = *r->given;
  char buf[96];
  return shape_eq(*r->given, r->in[0]) ||
         fail(r, "keeps the shape, it cannot give %s; use reshape", type_str(*r->given, buf));
}

static bool shape_broadcast2(Rule *r) {
  if (r->in[0].dt != r->in[1].dt) return fail(r, "element types differ; cast one of them");
  if (r->op == OP_div && !need_f32(r)) return false;
  *r->out = r->in[0];
  return join(r, r->out, r->in[1]);
}

static bool shape_compare(Rule *r) {
  if (!shape_broadcast2(r)) return false;
  r->out->dt = F32;
  return true;
}

static bool shape_select(Rule *r) {
  if (r->in[1].dt != r->in[2].dt) return fail(r, "the two choices have different element types");
  *r->out = r->in[1];
  char buf[96];
  if (join(r, r->out, r->in[2]) && join(r, r->out, r->in[0])) return true;
  return fail(r, "mask and choices (the second is %s) do not broadcast", type_str(r->in[2], buf));
}

/* ---- reductions, composites ---- */

static bool shape_reduce(Rule *r) {
  if (!need_f32(r)) return false;
  *r->out = r->in[0];
  if (r->at->axes & ~all_axes(r->in[0]))
    return fail(r, "axes name an axis beyond rank %d (bit mask %#x)", r->in[0].rank, r->at->axes);
  for (int i = 0; i < r->out->rank; i++)
    if (r->at->axes >> i & 1) r->out->dim[i] = 1;
  return true;
}

static bool shape_argreduce(Rule *r) {
  if (!need_f32(r) || !need_axis(r, r->in[0].rank)) return false;
  *r->out = r->in[0];
  r->out->dt = I32;
  r->out->dim[r->at->axis] = 1;
  return true;
}

static bool shape_batchnorm(Rule *r) {
  static const char *const name[] = {"x", "gamma", "beta", "mean", "var"};
  Type x = r->in[0];
  char want[96], got[96];
  if (!need_f32(r)) return false;
  if (x.rank < 2) return fail(r, "x must be (N,C,..)");
  Type vector = type_f32(1, 1), stat = x;
  vector.dim[0] = x.dim[1];
  for (int i = 0; i < x.rank; i++)
    if (i != 1) stat.dim[i] = 1;
  for (int i = 1; i < 5; i++) {
    Type t = i < 3 ? vector : stat;
    if (!type_eq(r->in[i], t))
      return fail(r, "%s must be %s, it is %s", name[i], type_str(t, want), type_str(r->in[i], got));
  }
  *r->out = x;
  return true;
}

/* ---- contractions ---- */

static bool shape_conv(Rule *r) {
  Type x = r->in[0], w = r->in[1];
  int64_t s[MAX_SPATIAL];
  if (!need_f32(r) || !need_image(r) || !need_ranks(r)) return false;
  if (x.dim[1] != w.dim[1])
    return fail(r, "the weight takes %lld channels (axis 1), the input has %lld", (long long)w.dim[1],
                (long long)x.dim[1]);
  if (!need_windows(r, x.dim + 2, w.dim + 2, x.rank - 2, s)) return false;
  *r->out = x;
  r->out->dim[1] = w.dim[0];
  set_spatial(r->out, s, x.rank - 2);
  return true;
}

static bool shape_conv_dx(Rule *r) {
  Type dy = r->in[0], w = r->in[1];
  if (!need_f32(r) || !need_image(r) || !need_ranks(r)) return false;
  if (!need_equal(r, "channels of dy (axis 1) and of the weight (axis 0)", dy.dim[1], w.dim[0])) return false;
  if (!need_range(r, "size", r->at->size, dy.rank - 2, 1)) return false;
  if (!need_adjoint(r, r->at->size, w.dim + 2, dy.dim + 2, dy.rank - 2)) return false;
  *r->out = dy;
  r->out->dim[1] = w.dim[1];
  set_spatial(r->out, r->at->size, dy.rank - 2);
  return true;
}

static bool shape_conv_dw(Rule *r) {
  Type x = r->in[0], dy = r->in[1];
  if (!need_f32(r) || !need_image(r) || !need_ranks(r)) return false;
  if (!need_equal(r, "batch sizes (axis 0)", x.dim[0], dy.dim[0])) return false;
  if (!need_range(r, "size", r->at->size, x.rank - 2, 1)) return false;
  if (!need_adjoint(r, x.dim + 2, r->at->size, dy.dim + 2, x.rank - 2)) return false;
  *r->out = x;
  r->out->dim[0] = dy.dim[1];
  set_spatial(r->out, r->at->size, x.rank - 2);
  return true;
}

/* Depthwise: samples and channels of both operands agree, and are those of the result. */
static bool need_depthwise(Rule *r) {
  *r->out = r->in[0];
  return need_f32(r) && need_image(r) && need_ranks(r) &&
         need_equal(r, "batch sizes (axis 0)", r->in[0].dim[0], r->in[1].dim[0]) &&
         need_equal(r, "channels (axis 1)", r->in[0].dim[1], r->in[1].dim[1]);
}

static bool shape_dwconv(Rule *r) {
  int64_t s[MAX_SPATIAL];
  int n = r->in[0].rank - 2;
  if (!need_depthwise(r) || !need_windows(r, r->in[0].dim + 2, r->in[1].dim + 2, n, s)) return false;
  set_spatial(r->out, s, n);
  return true;
}

static bool shape_dwconv_dx(Rule *r) {
  int n = r->in[0].rank - 2;
  if (!need_depthwise(r) || !need_range(r, "size", r->at->size, n, 1) ||
      !need_adjoint(r, r->at->size, r->in[1].dim + 2, r->in[0].dim + 2, n))
    return false;
  set_spatial(r->out, r->at->size, n);
  return true;
}

static bool shape_dwconv_dw(Rule *r) {
  int n = r->in[0].rank - 2;
  if (!need_depthwise(r) || !need_range(r, "size", r->at->size, n, 1) ||
      !need_adjoint(r, r->in[0].dim + 2, r->at->size, r->in[1].dim + 2, n))
    return false;
  set_spatial(r->out, r->at->size, n);
  return true;
}

static bool shape_matmul(Rule *r) {
  Type a = r->in[0], b = r->in[1];
  if (!need_f32(r) || !need_mode(r)) return false;
  if (a.rank != 2) return fail(r, "the first operand must have rank 2");
  if (b.rank < 1) return fail(r, "the second operand must have rank 1 or more");
  int k = r->at->mode ? 0 : 1;
  if (!need_equal(r, "the summed extents", a.dim[k], b.dim[0])) return false;
  *r->out = b;
  r->out->dim[0] = a.dim[1 - k];
  return true;
}

static bool shape_inner(Rule *r) {
  Type a = r->in[0], b = r->in[1];
  if (!need_f32(r) || !need_ranks(r)) return false;
  if (a.rank < 1) return fail(r, "operands must have rank 1 or more");
  for (int i = 1; i < a.rank; i++)
    if (a.dim[i] != b.dim[i])
      return fail(r, "extents %lld and %lld of axis %d differ; every axis but the first is summed",
                  (long long)a.dim[i], (long long)b.dim[i], i);
  *r->out = type_f32(2, 1, 1);
  r->out->dim[0] = a.dim[0];
  r->out->dim[1] = b.dim[0];
  return true;
}

/* ---- data movement ---- */

static bool need_given(Rule *r) {
  if (!r->given) return fail(r, "needs a type");
  *r->out = *r->given;
  return r->given->dt == r->in[0].dt || fail(r, "keeps the element type; use cast");
}

static bool shape_reshape(Rule *r) {
  char buf[96];
  if (!need_given(r)) return false;
  return type_count(r->in[0]) == type_count(*r->given) ||
         fail(r, "%s has %lld elements, the operand has %lld", type_str(*r->given, buf),
              (long long)type_count(*r->given), (long long)type_count(r->in[0]));
}

static bool shape_broadcast(Rule *r) {
  char buf[96];
  if (!need_given(r)) return false;
  Type x = r->in[0], t = *r->given;
  bool ok = x.rank == 0 || x.rank == t.rank;
  for (int i = 0; ok && i < x.rank; i++) ok = x.dim[i] == 1 || x.dim[i] == t.dim[i];
  return ok || fail(r, "does not broadcast to %s: extents must be equal or 1", type_str(t, buf));
}

static bool shape_concat(Rule *r) {
  Type t = r->in[0];
  if (!need_axis(r, t.rank)) return false;
  for (int i = 1; i < r->nin; i++) {
    Type x = r->in[i];
    int64_t joined = t.dim[r->at->axis];
    x.dim[r->at->axis] = joined;
    char buf[96];
    if (!type_eq(t, x))
      return fail(r, "operand %d, %s, must agree with the first in type and in every axis but %d", i + 1,
                  type_str(r->in[i], buf), r->at->axis);
    t.dim[r->at->axis] = joined + r->in[i].dim[r->at->axis];
  }
  *r->out = t;
  return true;
}

static bool shape_slice(Rule *r) {
  if (!need_axis(r, r->in[0].rank)) return false;
  int64_t lo = r->at->lo, hi = r->at->hi, extent = r->in[0].dim[r->at->axis];
  if (lo < 0 || lo >= hi || hi > extent)
    return fail(r, "the range [%lld:%lld] of axis %d must lie in [0:%lld] and not be empty", (long long)lo,
                (long long)hi, r->at->axis, (long long)extent);
  *r->out = r->in[0];
  r->out->dim[r->at->axis] = hi - lo;
  return true;
}

static bool shape_pad(Rule *r) {
  if (!need_axis(r, r->in[0].rank)) return false;
  int64_t lo = r->at->lo, hi = r->at->hi;
  if (lo < 0 || hi < 0 || lo > MAX_EXTENT || hi > MAX_EXTENT)
    return fail(r, "the padding %lld, %lld must not be negative", (long long)lo, (long long)hi);
  *r->out = r->in[0];
  r->out->dim[r->at->axis] += lo + hi;
  return true;
}

static bool shape_upsample(Rule *r) {
  int n = r->in[0].rank - 2;
  if (!need_image(r) || !need_range(r, "stride", r->at->geom.stride, n, 1)) return false;
  *r->out = r->in[0];
  for (int i = 0; i < n; i++) r->out->dim[2 + i] *= r->at->geom.stride[i];
  return true;
}

static bool shape_sumpool(Rule *r) {
  int n = r->in[0].rank - 2;
  if (!need_f32(r) || !need_image(r) || !need_range(r, "stride", r->at->geom.stride, n, 1)) return false;
  *r->out = r->in[0];
  for (int i = 0; i < n; i++) {
    if (r->in[0].dim[2 + i] % r->at->geom.stride[i])
      return fail(r, "extent %lld of spatial axis %d is not a multiple of %lld",
                  (long long)r->in[0].dim[2 + i], i, (long long)r->at->geom.stride[i]);
    r->out->dim[2 + i] /= r->at->geom.stride[i];
  }
  return true;
}

static bool shape_pool(Rule *r) {
  int64_t s[MAX_SPATIAL];
  int n = r->in[0].rank - 2;
  if (!need_f32(r) || !need_image(r) || !need_range(r, "size", r->at->size, n, 1)) return false;
  if (!need_windows(r, r->in[0].dim + 2, r->at->size, n, s)) return false;
  for (int i = 0; i < n; i++) /* so that every window holds an element */
    if (r->at->geom.pad[i] >= r->at->size[i])
      return fail(r, "padding %lld of spatial axis %d must be less than the window, %lld",
                  (long long)r->at->geom.pad[i], i, (long long)r->at->size[i]);
  *r->out = r->in[0];
  set_spatial(r->out, s, n);
  return true;
}

static bool shape_maxpool_dx(Rule *r) {
  char buf[96];
  if (!shape_pool(r)) return false;
  if (!type_eq(*r->out, r->in[1])) return fail(r, "dy must be %s", type_str(*r->out, buf));
  *r->out = r->in[0];
  return true;
}

static bool shape_resize(Rule *r) {
  int n = r->in[0].rank - 2;
  if (!need_f32(r) || !need_image(r) || !need_mode(r) || !need_range(r, "size", r->at->size, n, 1))
    return false;
  *r->out = r->in[0];
  set_spatial(r->out, r->at->size, n);
  return true;
}

static bool shape_resize_dx(Rule *r) { return shape_resize(r); }

static bool shape_orient(Rule *r) {
  Type x = r->in[0], code = r->in[1];
  if (!need_image(r) || !need_mode(r)) return false;
  if (x.rank < 4 || x.dim[2] != x.dim[3]) return fail(r, "axes 2 and 3 must exist and have equal extents");
  if (code.dt != I32 || code.rank != 1 || code.dim[0] != x.dim[0])
    return fail(r, "the codes must be i32[%lld], one per sample", (long long)x.dim[0]);
  *r->out = x;
  return true;
}

static bool shape_grad(Rule *r) {
  if (!need_f32(r)) return false;
  if (r->in[0].rank != 0) return fail(r, "the loss must have rank 0");
  *r->out = r->in[1];
  return true;
}

/* ---- the table ---- */

static bool (*const rule_of[OP_COUNT])(Rule *) = {
#define OP(name, min_in, max_in, attrs, cls, cost, shape, ...) [OP_##name] = shape_##shape,
#include "ir/ops.def"
};

bool infer_type(Op op, int nin, const Type *in, const Attrs *at, const Type *given, Type *out,
                char err[IR_ERR]) {
  Type result = {0}, wide[MAX_IN], wanted;
  Rule r = {op, 0, wide, at, given ? &wanted : NULL, &result, err};
  const OpInfo *info = &op_info[op];
  if (nin < info->min_in || nin > info->max_in)
    return fail(
        &r, info->min_in == info->max_in ? "takes %d operands, not %d" : "takes %d or more operands, not %d",
        info->min_in, nin);
  r.nin = nin;
  for (int i = 0; i < nin; i++)
    if (!type_valid(in[i])) return fail(&r, "the type of operand %d is not valid", i + 1);
  if (given && !type_valid(*given))
    return fail(&r,
                "the type asked for is not valid: rank 0 to %d, extents of 1 or more, at most 2^40 elements",
                MAX_RANK);
  for (int i = 0; i < nin; i++) wide[i] = type_widened(in[i]);
  if (given) wanted = type_widened(*given);
  if (!rule_of[op](&r)) return false;
  char buf[96];
  if (!type_valid(result)) return fail(&r, "the result %s is too large", type_str(result, buf));
  *out = result;
  return true;
}
