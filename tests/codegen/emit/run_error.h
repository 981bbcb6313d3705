/* run_error.h - the rounding error of what an emitter made, against the interpreter in double precision. */
#ifndef NETC_RUN_ERROR_H
#define NETC_RUN_ERROR_H
#include "tests/codegen/emit/run_emit.h"
#include "tests/codegen/emit/run_emit.h"
#include "tests/worse.h"

static inline Interp *run_in_double(const RunCase *c) {
  char err[IR_ERR] = "";
  Interp *in = interp_new(c->fn, INTERP_F64);
  for (int i = 0; i < c->fn->n; i++) {
    if (!run_leaf_name(c->fn, i)) continue;
    double *d = run_leaf_data(c, i);
    assert_true(interp_bind(in, run_leaf_name(c->fn, i), d));
    free(d);
  }
  if (!interp_run(in, err)) fail_msg("%s", err);
  return in;
}

typedef struct {
  double most, square; /* greatest and root mean square error, over the largest result */
} RunError;

/* Of node `y`, on one instruction set. */
static inline RunError run_error(const RunCase *c, const Emit *e, const Interp *want, int y, int isa) {
  char err[IR_ERR];
  const KFn *k[8];
  uint32_t *mem[16];
  Run r = {.c = c, .e = e, .isa = isa, .mem = mem};
  for (int i = 0; i < e->nkernel; i++) k[i] = run_kernel(e, i, isa);
  for (int i = 0; i < e->nbuffer; i++) assert_non_null(mem[i] = run_memory((size_t)run_words(e, i) * 4));
  if (!(r.jit = jit_new(k, e->nkernel, (NetcIsa)isa, err))) fail_msg("%s", err);
  run_all(&r, RUN_PLAIN);
  const Node *n = &c->fn->node[y];
  int64_t count = type_count(n->type);
  const double *exact = interp_value(want, y);
  double most = 0, square = 0, largest = 0;
  for (int64_t i = 0; i < count; i++) {
    double d = run_get(&n->type, mem[e->node_buffer[y]], run_memory_index(n, i)) - exact[i];
    most = worse(most, d), largest = fmax(largest, fabs(exact[i])), square += d * d;
  }
  jit_free(r.jit);
  for (int i = 0; i < e->nbuffer; i++) free(mem[i]);
  return (RunError){most / largest, sqrt(square / (double)count) / largest};
}

/* Of node `y`, on every set, against the bound; says what it was, after `what`. */
static inline void run_check_errors(const RunCase *c, const Emit *e, int y, const char *what,
                                    RunError bound) {
  Interp *want = run_in_double(c);
  for (int isa = 0; isa < NETC_ISA_COUNT && run_has_set(e, isa); isa++) {
    RunError got = run_error(c, e, want, y, isa);
    print_message("%s set %d: %.1e %.1e\n", what, isa, got.most, got.square);
    if (!(got.most <= bound.most && got.square <= bound.square))
      fail_msg("more than %g, %g", bound.most, bound.square);
  }
  interp_free(want);
}
#endif
