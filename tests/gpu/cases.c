/* cases.c - writes the launches of a program for a GPU as cases.h says, with the interpreter's values. */
#include <errno.h>
#include "cases.h"
#include "write_cases.h"
#include "codegen/simt_lower.h"
#include "tests/road/gpu_launches.h"

static void put_raw(FILE *f, const void *p, size_t n) { fwrite(p, 1, n, f); }
static void put_i32(FILE *f, int32_t v) { put_raw(f, &v, sizeof v); }
static void put_i64(FILE *f, int64_t v) { put_raw(f, &v, sizeof v); }
static void put_text(FILE *f, const char *s, size_t n) {
  put_i32(f, (int32_t)n);
  put_raw(f, s, n);
}

/* ---- codes ---- */

static bool put_ptx(FILE *f, const KFn *k, NetcSm sm, const char *symbol, char err[512]) {
  Bytes text = {0};
  LLVMTargetMachineRef tm = simt_ptx_target(sm, err);
  bool good = tm && simt_ptx(k, sm, tm, symbol, &text, err);
  if (tm) LLVMDisposeTargetMachine(tm);
  bytes_add(&text, "", 1);
  put_text(f, (const char *)text.data, text.n);
  bytes_free(&text);
  return good;
}

static bool put_code(FILE *f, const Code *c, char err[512]) {
  char symbol[64];
  const KFn *k = c->k, *newest = k->sm90;
  code_symbol(symbol, c);
  put_text(f, symbol, strlen(symbol) + 1);
  put_i32(f, simt_block_threads(k)), put_i32(f, simt_block_tasks(k));
  put_i32(f, newest && simt_dynamic(newest) ? (int32_t)simt_shared(newest) : 0);
  put_i32(f, k->nparams);
  for (int sm = 0; sm < NETC_SM_COUNT; sm++) {
    const KFn *form = sm == NETC_SM_90A ? newest : simt_family(k) == (NetcSm)sm ? k : NULL;
    if (!form) put_i32(f, 0);
    else if (!put_ptx(f, form, (NetcSm)sm, symbol, err)) return false;
  }
  return true;
}

/* ---- functions ---- */

static void put_buffer(FILE *f, const Emit *e, const Interp *in, int buffer) {
  const Buffer *b = &e->buffer[buffer];
  const Node *n = b->node < 0 ? NULL : &e->fn->node[b->node];
  int64_t count = n ? type_count(n->type) : 0;
  put_i32(f, !n ? CASE_WORKSPACE : n->type.dt == BF16 ? CASE_BF16 : n->type.dt == I32 ? CASE_I32 : CASE_F32);
  put_i64(f, b->bytes), put_i64(f, count);
  if (!n) return;
  uint32_t *mem = calloc((size_t)count + 1, sizeof *mem);
  const double *v = interp_value(in, b->node);
  for (int64_t i = 0; i < count; i++) run_set(&n->type, mem, run_memory_index(n, i), v[i]);
  put_raw(f, mem, (size_t)count * (n->type.dt == BF16 ? 2 : 4));
  free(mem);
}

static void put_launch(FILE *f, const Module *m, const Emit *e, int number) {
  const Launch *l = &e->launch[number];
  const char *name = e->kernel[l->kernel].name;
  uint64_t checks = 0;
  for (int i = 0; i < l->nargs; i++)
    if (l->writes >> i & 1 && e->buffer[l->arg[i]].node >= 0 && !written_later(e, number, l->arg[i]))
      checks |= UINT64_C(1) << i;
  put_text(f, name, strlen(name) + 1);
  put_i32(f, m->code_of[0][l->kernel]), put_i32(f, sums_cancel(e, l));
  put_i64(f, l->tasks), put_raw(f, &l->writes, sizeof l->writes), put_raw(f, &checks, sizeof checks);
  put_i32(f, l->nargs);
  for (int i = 0; i < l->nargs; i++) put_i32(f, l->arg[i]);
  put_raw(f, m->param[l->kernel], (size_t)m->code[m->code_of[0][l->kernel]].k->nparams * sizeof **m->param);
}

static void put_fn(FILE *f, const Module *m, const FnPlan *p, double tolerance) {
  const Emit *e = p->e;
  RunCase c = run_case(p->fn, tolerance);
  c.fill = fill_state;
  Interp *in = run_reference(&c);
  put_text(f, p->fn->name, strlen(p->fn->name) + 1);
  put_raw(f, &tolerance, sizeof tolerance);
  put_raw(f, &c.seed, sizeof c.seed), put_raw(f, &c.iteration, sizeof c.iteration);
  put_i32(f, e->nbuffer);
  for (int i = 0; i < e->nbuffer; i++) put_buffer(f, e, in, i);
  put_i32(f, e->nlaunch);
  for (int i = 0; i < e->nlaunch; i++) put_launch(f, m, e, i);
  interp_free(in);
}

bool write_cases(const Module *m, const char *path, double tolerance, char err[512]) {
  FILE *f = fopen(path, "wb");
  if (!f) return snprintf(err, 512, "%.400s: %s", path, strerror(errno)), false;
  put_raw(f, CASES_MAGIC, sizeof CASES_MAGIC - 1);
  put_i32(f, m->ncode);
  bool good = true;
  for (int i = 0; good && i < m->ncode; i++) good = put_code(f, &m->code[i], err);
  put_i32(f, m->prog->nfn);
  for (int i = 0; good && i < m->prog->nfn; i++) put_fn(f, m, &m->fn[i], tolerance);
  if (ferror(f) && good) snprintf(err, 512, "%.400s: %s", path, strerror(errno)), good = false;
  return fclose(f) == 0 && good;
}
