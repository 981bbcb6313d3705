/* ref.h - what a reference kernel sees. Private to ir/interp.
 *
 * A kernel writes every element of `out` from its operands, in double and without rounding; the interpreter
 * rounds afterwards. `out` comes zeroed. Shapes: N batch, C and O channels, S space; all arrays row-major. */
#ifndef NETC_INTERP_REF_H
#define NETC_INTERP_REF_H
#include "ir/interp/interp.h"

typedef struct {
  Op op;
  const Attrs *at;
  double value; /* at->value, rounded to float in F32 mode */
  int nin;
  Type type, in_type[MAX_IN];
  const double *in[MAX_IN];
  uint64_t seed, iteration;
  InterpMode mode;
  const double *bound; /* var, input: the data bound to the name */
} Ref;

typedef void RefKernel(double *out, const Ref *r);

/* The kernel of every op but the META ones; ref_elementwise serves class EW. */
#define REF_LEAF(name) RefKernel ref_##name;
#define REF_EW(name)
#define REF_RED(name)  RefKernel ref_##name;
#define REF_COMP(name) RefKernel ref_##name;
#define REF_CON(name)  RefKernel ref_##name;
#define REF_MOVE(name) RefKernel ref_##name;
#define REF_META(name)
#define OP(name, min_in, max_in, attrs, cls, ...) REF_##cls(name)
#include "ir/ops.def"
#undef REF_LEAF
#undef REF_EW
#undef REF_RED
#undef REF_COMP
#undef REF_CON
#undef REF_MOVE
#undef REF_META
RefKernel ref_elementwise;

/* Where the element that broadcasts to element i of shape `full` lies in an array of shape x. */
static inline int64_t broadcast_at(Type x, Type full, int64_t i) {
  int64_t at = 0, stride = 1;
  for (int axis = x.rank - 1; axis >= 0; axis--) {
    int64_t coord = i % full.dim[axis];
    i /= full.dim[axis];
    if (x.dim[axis] > 1) at += coord * stride;
    stride *= x.dim[axis];
  }
  return at;
}

/* An array seen from one axis: (outer, extent, inner). */
typedef struct {
  int64_t outer, extent, inner;
} View;

static inline View view_along(Type t, int axis) {
  View v = {1, t.dim[axis], 1};
  for (int i = 0; i < axis; i++) v.outer *= t.dim[i];
  for (int i = axis + 1; i < t.rank; i++) v.inner *= t.dim[i];
  return v;
}

/* A list with one entry per spatial axis as one of three; the missing leading axes read `missing`. */
static inline void three(int64_t out[3], const int64_t *list, int n, int64_t missing) {
  for (int i = 0; i < 3; i++) out[i] = i < 3 - n ? missing : list[i - (3 - n)];
}

/* The same of windows: along a missing axis there is one, of one element. */
static inline ConvGeom three_geom(const ConvGeom *g, int n) {
  ConvGeom t = *g;
  three(t.stride, g->stride, n, geom_unit.stride[0]);
  three(t.pad, g->pad, n, geom_unit.pad[0]);
  return t;
}
#endif
