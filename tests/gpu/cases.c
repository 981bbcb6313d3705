/* cases.c - writes the launches of a program for a GPU as cases.h says, with the interpreter's values. */
#include <errno.h>
#include "tests/gpu/cases.h"
#include "tests/gpu/write_cases.h"
#include "codegen/gpu/lower.h"
#include "tests/end_to_end/gpu_launches.h"

static void put_raw(FILE *f, const void *p, size_t n) { fwrite(p, 1, n, f); }
static void put_i32(FILE *f, int32_t v) { put_raw(f, &v, sizeof v); }
static void put_i64(FILE *f, int64_t v) { put_raw(f, &v, sizeof v); }
static void put_text(FILE *f, const char *s, size_t n) {
  put_i32(f, (int32_t)n);
  put_raw(f, s, n);
}

/* ---- codes ---- */

static bool put_ptx(FILE *f, const KFn *k, NetcSm sm, const char *symbol, char err[IR_ERR]) {
  Bytes text = {0};
  LLVMTargetMachineRef tm = simt_ptx_target(sm, err);
  bool good = tm && simt_ptx(k, sm, tm, symbol, &text, err);
  if (tm) LLVMDisposeTargetMachine(tm);
  bytes_add(&text, "", 1);
  put_text(f, (const char *)text.data, text.n);
  bytes_free(&text);
  return good;
}

static bool put_code(FILE *f, const Code *c, bool used, char err[IR_ERR]) {
  char symbol[64];
  const KFn *k = c->k, *newest = k->sm90;
  code_symbol(symbol, c);
  put_text(f, symbol, strlen(symbol) + 1);
  put_i32(f, simt_block_threads(k)), put_i32(f, simt_block_tasks(k));
  put_i32(f, newest && simt_dynamic(newest) ? (int32_t)simt_shared(newest) : 0);
  put_i32(f, k->nparams);
  for (int sm = 0; sm < NETC_SM_COUNT; sm++) {
    const KFn *form = sm == NETC_SM_90A ? newest : simt_family(k) == (NetcSm)sm ? k : NULL;
    if (!form || !used) put_i32(f, 0);
    else if (!put_ptx(f, form, (NetcSm)sm, symbol, err)) return false;
  }
  return true;
}

/* ---- which launches ---- */

/* Do the launches share workspace that `writer` writes? */
static bool hands_over(const Emit *e, const Launch *writer, const Launch *reader) {
  for (int i = 0; i < writer->nargs; i++)
    for (int j = 0; j < reader->nargs && writer->writes >> i & 1; j++)
      if (writer->arg[i] == reader->arg[j] && e->buffer[writer->arg[i]].node < 0) return true;
  return false;
}

/* Do both write a part of one value? */
static bool share_value(const Emit *e, const Launch *a, const Launch *b) {
  for (int i = 0; i < a->nargs; i++)
    for (int j = 0; j < b->nargs && a->writes >> i & 1; j++)
      if (b->writes >> j & 1 && a->arg[i] == b->arg[j] && e->buffer[a->arg[i]].node >= 0) return true;
  return false;
}

/* The first launch of every kernel, or of those on tensor cores, and all that hands workspace over to them:
 * packed weights; and what takes it from those on tensor cores: sums of parts; and of a value that several
 * write all of them. Returns how many. */
static int choose(const Emit *e, bool tensor, bool *seen, bool *wanted) {
  int n = 0;
  bool changed = true;
  for (int l = 0; l < e->nlaunch; l++) {
    int kernel = e->launch[l].kernel;
    wanted[l] = !seen[kernel] && (!tensor || kir_tensor(e->kernel[kernel].k[0]));
    seen[kernel] |= wanted[l];
  }
  for (int l = 0; tensor && l < e->nlaunch; l++)
    for (int o = 0; o < l && !wanted[l]; o++)
      wanted[l] = wanted[o] && kir_tensor(e->kernel[e->launch[o].kernel].k[0]) &&
                  hands_over(e, &e->launch[o], &e->launch[l]);
  for (; changed;) {
    changed = false;
    for (int l = 0; l < e->nlaunch; l++)
      for (int o = 0; o < e->nlaunch && wanted[l]; o++)
        if (!wanted[o] && ((o < l && hands_over(e, &e->launch[o], &e->launch[l])) ||
                           share_value(e, &e->launch[o], &e->launch[l])))
          changed = wanted[o] = true;
  }
  for (int l = 0; l < e->nlaunch; l++) n += wanted[l];
  return n;
}

static bool *used_codes(const Module *m, bool *const *wanted) {
  bool *used = arena_alloc(m->arena, (size_t)m->ncode + 1);
  for (int i = 0; i < m->prog->nfn; i++)
    for (int l = 0; l < m->fn[i].e->nlaunch; l++)
      if (wanted[i][l]) used[m->code_of[0][m->fn[i].e->launch[l].kernel]] = true;
  return used;
}

/* ---- functions ---- */

static void put_buffer(FILE *f, const Emit *e, const Interp *in, int buffer, bool used) {
  const Buffer *b = &e->buffer[buffer];
  const Node *n = b->node < 0 || !used ? NULL : &e->fn->node[b->node];
  int64_t count = n ? type_count(n->type) : 0;
  put_i32(f, !n ? CASE_WORKSPACE : n->type.dt == BF16 ? CASE_BF16 : n->type.dt == I32 ? CASE_I32 : CASE_F32);
  put_i64(f, used ? b->bytes : 0), put_i64(f, count);
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

static void put_fn(FILE *f, const Module *m, const FnPlan *p, double tolerance, const bool *wanted, int n) {
  const Emit *e = p->e;
  bool *used = calloc((size_t)e->nbuffer + 1, sizeof *used);
  for (int l = 0; l < e->nlaunch; l++)
    for (int i = 0; i < e->launch[l].nargs && wanted[l]; i++) used[e->launch[l].arg[i]] = true;
  RunCase c = run_case(p->fn, tolerance);
  c.fill = fill_state;
  Interp *in = run_reference(&c);
  put_text(f, p->fn->name, strlen(p->fn->name) + 1);
  put_raw(f, &tolerance, sizeof tolerance);
  put_raw(f, &c.seed, sizeof c.seed), put_raw(f, &c.iteration, sizeof c.iteration);
  put_i32(f, e->nbuffer);
  for (int i = 0; i < e->nbuffer; i++) put_buffer(f, e, in, i, used[i]);
  put_i32(f, n);
  for (int i = 0; i < e->nlaunch; i++)
    if (wanted[i]) put_launch(f, m, e, i);
  interp_free(in);
  free(used);
}

bool write_cases(const Module *m, const char *path, double tolerance, bool tensor, char err[IR_ERR]) {
  int nfn = m->prog->nfn, *n = arena_alloc(m->arena, ((size_t)nfn + 1) * sizeof *n);
  bool **wanted = arena_alloc(m->arena, ((size_t)nfn + 1) * sizeof *wanted);
  bool *seen = arena_alloc(m->arena, (size_t)m->nkernel + 1);
  for (int i = 0; i < nfn; i++) {
    wanted[i] = arena_alloc(m->arena, (size_t)m->fn[i].e->nlaunch + 1);
    n[i] = choose(m->fn[i].e, tensor, seen, wanted[i]);
  }
  const bool *used = used_codes(m, wanted);
  FILE *f = fopen(path, "wb");
  if (!f) return ir_error(err, "%.400s: %s", path, strerror(errno));
  put_raw(f, CASES_MAGIC, sizeof CASES_MAGIC - 1);
  put_i32(f, m->ncode);
  bool good = true;
  for (int i = 0; good && i < m->ncode; i++) good = put_code(f, &m->code[i], used[i], err);
  put_i32(f, nfn);
  for (int i = 0; good && i < nfn; i++) put_fn(f, m, &m->fn[i], tolerance, wanted[i], n[i]);
  if (ferror(f) && good) good = ir_error(err, "%.400s: %s", path, strerror(errno));
  return fclose(f) == 0 && good;
}
