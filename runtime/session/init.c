/* How variables start (codegen/abi.h): a value depends on the seed, the variable's name and the element's row-major
 * index, so neither the layout nor the number of threads nor the other variables matter. */
#include <math.h>
#include <string.h>
#include "runtime/base/array.h"
#include "runtime/session/session.h"
#include "ir/philox.h"

static uint64_t fnv1a(const char *s) {
  uint64_t h = 0xcbf29ce484222325u;
  for (; *s; s++) h = (h ^ (uint8_t)*s) * 0x100000001b3u;
  return h;
}

/* Standard normal by Box and Muller, in double: ir/philox.h defines it from x0, x1. */
static double normal_at(uint64_t seed, uint64_t site, uint64_t i) {
  uint32_t x[4];
  philox_at(x, seed, UINT32_MAX, site, i);
  double u1 = ((double)(x[0] >> 8) + 1) * 0x1p-24, u2 = (double)(x[1] >> 8) * 0x1p-24;
  return sqrt(-2 * log(u1)) * cos(6.283185307179586476925 * u2);
}

enum { BLOCK = 1 << 14 };

typedef struct {
  const NetcArray *array;
  const NetcVar *var;
  uint8_t *mem;
  uint64_t seed, site;
  int64_t count, stride[NETC_MAX_RANK];
} Init;

static double value_at(const Init *in, int64_t i) {
  const NetcVar *v = in->var;
  switch (v->init) {
  case NETC_INIT_UNIFORM:
    return v->init_a +
           (v->init_b - v->init_a) * (double)philox_uniform(in->seed, UINT32_MAX, in->site, (uint64_t)i);
  case NETC_INIT_NORMAL: return v->init_a + v->init_b * normal_at(in->seed, in->site, (uint64_t)i);
  default: return v->init_a;
  }
}

static void init_block(void *ctx, int64_t block) {
  const Init *in = ctx;
  const NetcArray *a = in->array;
  int64_t end = (block + 1) * BLOCK < in->count ? (block + 1) * BLOCK : in->count;
  for (int64_t i = block * BLOCK; i < end; i++) {
    int64_t rest = i, at = 0;
    for (int k = a->rank - 1; k >= 0; k--) at += rest % a->dim[k] * in->stride[k], rest /= a->dim[k];
    double v = value_at(in, i);
    if (a->dtype == NETC_I32) ((int32_t *)in->mem)[at] = (int32_t)v;
    else ((float *)in->mem)[at] = (float)v;
  }
}

/* Fills `a` by the recipe of variable `v`: its own, or the one it is a copy of. */
static void init_var(const Session *s, const NetcArray *a, const NetcVar *v, uint64_t seed) {
  Init in = {.array = a,
             .var = v,
             .mem = session_at(s, a),
             .seed = seed,
             .site = fnv1a(v->array.name),
             .count = array_count(a)};
  int64_t stride = 1;
  for (int k = a->rank - 1; k >= 0; k--) in.stride[a->order[k]] = stride, stride *= a->dim[a->order[k]];
  pool_run(s->pool, init_block, &in, (in.count + BLOCK - 1) / BLOCK);
}

void session_init(const Session *s, uint64_t seed) {
  const NetcModule *d = s->module->desc;
  for (int i = 0; i < d->nvars; i++) init_var(s, &d->vars[i].array, var_origin(d, &d->vars[i]), seed);
  vars_dirty(s);
}
