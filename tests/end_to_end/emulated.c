/* emulated.c - the kernels that `netc --target ptx` compiles for a GPU, compiled for this machine instead: a
 * shared object for tests/runtime/fake_cuda.c, so that netrun --device cuda:0 runs a real module without a
 * GPU. The program of a thread is the one that a GPU's thread runs, but for its leaves (codegen/gpu/lower.h).
 *
 *   emulated FILE.net OUT.so [--grads] [--processors N] [--cases FILE TOLERANCE [--tensor]] [NAME=VALUE ..]
 *
 * --grads: the kernels of NAME.grads too. --processors: planned for a GPU that has so many, large tiles for
 * one. --cases: a file with a launch of every kernel, as it is to be on a GPU (tests/gpu/cases.h), or with
 * --tensor those on tensor cores; then OUT.so may be `-`: it is not made. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "codegen/llvm/lower.h"
#include "codegen/llvm/lower_internal.h"
#include "codegen/module/module.h"
#include "codegen/gpu/lower.h"
#include "codegen/emulator/leaves.h"
#include "frontend/frontend.h"
#include "passes/passes.h"
#include "tests/gpu/write_cases.h"
#include "tests/runtime/fake_kernels.h"

_Static_assert(sizeof(FakeCalls) == sizeof(SimtCalls) &&
                   offsetof(FakeCalls, wgmma) == offsetof(SimtCalls, wgmma),
               "fake_kernels.h says what codegen/gpu/lower.h says");

static int die(const char *what) {
  fprintf(stderr, "emulated: %s\n", what);
  return 1;
}

/* The device's kernels, as codegen_run makes them. */
static bool emit(Module *m, char err[IR_ERR]) {
  const Program *p = m->prog;
  Emit *share = NULL;
  module_place_vars(m);
  m->fn = arena_alloc(m->arena, ((size_t)p->nfn + 1) * sizeof *m->fn);
  for (int i = 0; i < p->nfn; i++) {
    Emit *e = emit_fn_on(m->machine, m->arena, p->fn[i], share, err);
    if (!e) return false;
    m->fn[i] = (FnPlan){.fn = p->fn[i], .e = e};
    if (!plan_fn(m, &m->fn[i], err)) return false;
    m->kernel = e->kernel, m->nkernel = e->nkernel;
    share = e;
  }
  if (!emit_fills(m, err)) return false;
  module_codes(m);
  return true;
}

/* One kernel's object file DIR/NUMBER.o and its line in the table. */
static bool compile(const Module *m, int number, LLVMTargetMachineRef tm, const char *dir, FILE *table,
                    char err[IR_ERR]) {
  char symbol[64], path[320];
  code_symbol(symbol, &m->code[number]);
  const KFn *k = m->code[number].k;
  LLVMContextRef c = LLVMContextCreate();
  LLVMModuleRef module = LLVMModuleCreateWithNameInContext(symbol, c);
  LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(tm);
  LLVMSetModuleDataLayout(module, layout);
  LLVMDisposeTargetData(layout);
  LLVMSetTarget(module, "x86_64-unknown-linux-gnu");
  simt_lower_host(module, k, symbol);
  Bytes object = {0};
  bool good = lower_optimise(module, tm, err) && lower_generate(module, tm, LLVMObjectFile, &object, err);
  LLVMDisposeModule(module);
  LLVMContextDispose(c);
  snprintf(path, sizeof path, "%s/%d.o", dir, number);
  FILE *f = good ? fopen(path, "wb") : NULL;
  good = f && fwrite(object.data, 1, object.n, f) == object.n;
  if (f) fclose(f);
  bytes_free(&object);
  fprintf(table, "KERNEL(%s, %d, %d, %d, LIST(", symbol, k->nargs, k->nparams, k->warps);
  for (int scratch = 0; scratch < 2; scratch++) /* arguments first, as buffers are numbered */
    for (int i = 0; i < k->n; i++)
      if (k->ins[i].op == (scratch ? K_scratch : K_arg))
        fprintf(table, "%u, ", lower_element_bytes((KBase)k->ins[i].type.base));
  fprintf(table, "0)");
  for (int i = 0; i < k->n; i++)
    if (k->ins[i].op == K_scratch)
      fprintf(table, ", %lld", (long long)k->ins[i].imm * lower_element_bytes((KBase)k->ins[i].type.base));
  fprintf(table, ")\n");
  return good;
}

static const char head[] = "#include \"tests/runtime/fake_kernels.h\"\n"
                           "#define LIST(...) {__VA_ARGS__}\n"
                           "#define KERNEL(name, nargs, nparams, warps, elements, ...) \\\n"
                           "  static const int element_##name[] = elements; \\\n"
                           "  void name(const FakeCalls *, void *, int32_t, int32_t, int64_t, const NetcStep "
                           "*, const uint64_t *); \\\n"
                           "  static const int64_t scratch_##name[] = {0, ##__VA_ARGS__};\n"
                           "#include \"kernels.h\"\n#undef KERNEL\n"
                           "#define KERNEL(name, nargs, nparams, warps, elements, ...) \\\n"
                           "  {#name, nargs, nparams, 0, name, warps, sizeof scratch_##name / 8 - 1, "
                           "scratch_##name + 1, element_##name},\n"
                           "static const FakeKernel kernel[] = {\n#include \"kernels.h\"\n};\n"
                           "static const FakeKernels all = {sizeof kernel / sizeof *kernel, kernel};\n"
                           "const FakeKernels *fake_kernels(void);\n"
                           "const FakeKernels *fake_kernels(void) { return &all; }\n";

static bool write_all(const Module *m, const char *dir, char err[IR_ERR]) {
  char path[320];
  LLVMTargetMachineRef tm = lower_target_quick(err);
  snprintf(path, sizeof path, "%s/all.c", dir);
  FILE *all = fopen(path, "w");
  snprintf(path, sizeof path, "%s/kernels.h", dir);
  FILE *table = fopen(path, "w");
  bool good = tm && all && table && fputs(head, all) >= 0;
  for (int i = 0; good && i < m->ncode; i++) good = compile(m, i, tm, dir, table, err);
  if (all) fclose(all);
  if (table) fclose(table);
  if (tm) LLVMDisposeTargetMachine(tm);
  return good;
}

/* The object files of all kernels, and their table, linked. */
static bool make_shared(const Module *m, const char *out, char err[IR_ERR]) {
  char dir[] = "/tmp/netc_emulated_XXXXXX", cmd[1024];
  if (!strcmp(out, "-")) return true;
  if (!mkdtemp(dir)) return ir_error(err, "no temporary directory");
  bool good = write_all(m, dir, err);
  snprintf(cmd, sizeof cmd, "cc -shared -fPIC -I %s -I %s/codegen -I %s -o %s %s/all.c %s/*.o", SOURCE_DIR,
           SOURCE_DIR, dir, out, dir, dir);
  if (good && system(cmd)) good = false;
  snprintf(cmd, sizeof cmd, "rm -r %s", dir);
  return !system(cmd) && good;
}

typedef struct {
  Define define[32];
  FrontendOptions front;
  Machine machine;
  const char *cases;
  double tolerance;
  bool tensor;
} Options;

static bool read_options(Options *o, int argc, char **argv) {
  for (int i = 3; i < argc && o->front.ndefine < 32; i++) {
    char *eq = strchr(argv[i], '=');
    if (!strcmp(argv[i], "--grads")) o->front.grads = true;
    else if (!strcmp(argv[i], "--tensor")) o->tensor = true;
    else if (!strcmp(argv[i], "--processors") && i + 1 < argc) o->machine.sms = atoi(argv[++i]);
    else if (!strcmp(argv[i], "--cases") && i + 2 < argc)
      o->cases = argv[i + 1], o->tolerance = atof(argv[i + 2]), i += 2;
    else if (eq) *eq = 0, o->define[o->front.ndefine++] = (Define){argv[i], eq + 1};
    else return false;
  }
  return true;
}

static int build(Arena *arena, int argc, char **argv) {
  char err[2048] = "";
  Options o = {.front = {.diag = stderr}, .machine = machine_gpu};
  o.front.define = o.define;
  if (!read_options(&o, argc, argv)) return die("NAME=VALUE is expected");
  const char *options = "";
  PassOptions passes = {.dump = stdout};
  Program *p = frontend_compile(arena, argv[1], &o.front, &options);
  CodegenOptions codegen = {.threads = 1};
  if (!p || !passes_run(p, &passes, err)) return die(err);
  Module m = {.arena = p->arena, .prog = p, .machine = &o.machine, .opt = &codegen, .isas = 1};
  if (!emit(&m, err)) return die(err);
  bool good =
      make_shared(&m, argv[2], err) && (!o.cases || write_cases(&m, o.cases, o.tolerance, o.tensor, err));
  module_free_codes(&m);
  return good ? 0 : die(err[0] ? err : "the kernels are not built");
}

int main(int argc, char **argv) {
  if (argc < 3)
    return die(
        "usage: emulated FILE.net OUT.so [--grads] [--processors N] [--cases FILE TOLERANCE [--tensor]] "
        "[NAME=VALUE ..]");
  Arena *arena = arena_new();
  int status = build(arena, argc, argv);
  arena_free(arena);
  return status;
}
