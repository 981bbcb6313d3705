/* divides.c - what is known to divide an index: memory that is aligned, at a place that is a multiple of the lanes, is
 * aligned there, too. */
#include "codegen/kir/internal.h"
#include "ir/ints.h"

enum { MOST = 64, DEEPEST = 12 }; /* deeper terms, which are shared again and again, count as odd */

static int64_t of_constant(int64_t c) {
  int64_t d = 1;
  while (d < MOST && c % (2 * d) == 0) d *= 2;
  return d;
}

static int64_t divides(const KFn *k, KV v, int depth) {
  const KIns *i = &k->ins[v];
  if (i->op == K_const) return of_constant(i->imm);
  if (depth == 0 || i->type.base != K_I64) return 1;
  int64_t a, b;
  switch (i->op) {
  case K_add:
  case K_sub:
  case K_min:
  case K_max:
  case K_rem: /* a - q b */
    a = divides(k, i->in[0], depth - 1);
    return a == 1 ? 1 : min64(a, divides(k, i->in[1], depth - 1));
  case K_mul:
    a = divides(k, i->in[1], depth - 1); /* a constant, as a rule */
    b = a == MOST ? 1 : divides(k, i->in[0], depth - 1);
    return min64(a * b, MOST);
  case K_select:
    a = divides(k, i->in[1], depth - 1);
    return a == 1 ? 1 : min64(a, divides(k, i->in[2], depth - 1));
  case K_for: /* its counter: first value plus steps */
    a = divides(k, i->in[2], depth - 1);
    return a == 1 ? 1 : min64(a, divides(k, i->in[0], depth - 1));
  default: return 1;
  }
}

int64_t kir_divides(const KFn *k, KV v) { return divides(k, v, DEEPEST); }
