/* test_gpu_ptx.c - PTX of the codes of small versions of the shipped models; where ptxas is at hand (PATH,
 * /usr/local/cuda/bin) it assembles them for all kinds of GPU, without spills, and tells registers and shared
 * memory. Kernels are alike from model to model, and compiling takes its time: each is assembled for one kind
 * of GPU, in turn, those of the U-Net for all, and of the largest models one in a few is taken. With
 * NETC_PTX_ALL=1 all of them are. */
#include "tests/test.h"
#include "tests/end_to_end/gpu_models.h"
#include <stdio.h>
#include <unistd.h>
#include "codegen/gpu/lower.h"
#include "tests/codegen/gpu/ptxas.h"

static const char *const kinds[] = {"sm_75", "sm_80",  "sm_86",  "sm_89",
                                    "sm_90", "sm_90a", "sm_100", "sm_120"};
enum { SM_90A = 5, KINDS = sizeof kinds / sizeof *kinds };

/* Texts with one header become one text: the first with its header, of the others what follows theirs. */
static void join(Bytes *all, const Bytes *text) {
  const char *from = (const char *)text->data, *body = strstr(from, ".address_size 64\n");
  assert_non_null(body);
  size_t skip = all->n ? (size_t)(body - from) + strlen(".address_size 64\n") : 0;
  bytes_add(all, text->data + skip, text->n - 1 - skip);
}

/* Is the kernel one that test `which` looks at? NULL: all are. */
static bool wanted(const char *name, const char *const *which) {
  for (; which && *which; which++)
    if (strstr(name, *which)) return true;
  return !which;
}

/* What of a code is of family sm: itself, or its form for sm_90a. */
static const KFn *form(const KFn *k, NetcSm sm) {
  return sm == NETC_SM_90A ? k->sm90 : simt_family(k) == sm ? k : NULL;
}

/* Codes number first, first + step, .. of all functions, those of family sm, as one text. */
static int texts(const SharedCodes *c, NetcSm sm, const char *const *which, int first, int step, Bytes *all) {
  char err[IR_ERR] = "", symbol[64], target[64];
  int n = 0;
  LLVMTargetMachineRef tm = simt_ptx_target(sm, err);
  if (!tm) fail_msg("%s", err);
  snprintf(target, sizeof target, ".target %s", simt_sm_name(sm));
  for (int i = first; i < c->n; i += step) {
    Bytes text = {0};
    const KFn *k = form(c->code[i], sm);
    if (!k || !wanted(c->code[i]->name, which)) continue;
    n++;
    snprintf(symbol, sizeof symbol, "kernel_%d", i);
    if (!simt_ptx(k, sm, tm, symbol, &text, err)) fail_msg("%s", err);
    bytes_add(&text, "", 1);
    assert_non_null(strstr((char *)text.data, target));
    assert_non_null(strstr((char *)text.data, symbol));
    assert_true(simt_shared(k) <= (sm == NETC_SM_90A ? 96 << 10 : 48 << 10));
    join(all, &text);
    bytes_free(&text);
  }
  LLVMDisposeTargetMachine(tm);
  return n;
}

/* The codes that a module has. */
static SharedCodes codes_of(Arena *a, const Emit *e) {
  const KFn **k = arena_alloc(a, ((size_t)e->nkernel + 1) * sizeof *k);
  ShareMode *mode = arena_alloc(a, ((size_t)e->nkernel + 1) * sizeof *mode);
  for (int i = 0; i < e->nkernel; i++)
    k[i] = e->kernel[i].k[0], mode[i] = share_mode(e->kernel[i].flops, e->kernel[i].bytes);
  return share_kernels(a, k, mode, e->nkernel);
}

/* Those of a module of model `path`: of all its functions, or of the first. */
static SharedCodes codes_of_model(Arena *a, const Machine *m, const char *path, const Define *define, int n,
                                  bool all) {
  char err[IR_ERR] = "";
  Program *p = compile_model(a, path, define, n);
  Emit *e = NULL;
  for (int i = 0; i < (all ? p->nfn : 1); i++)
    if (!(e = emit_fn_on(m, a, p->fn[i], e, err))) fail_msg("%s", err);
  return codes_of(a, e);
}

static void check_family(const SharedCodes *c, NetcSm sm, const char *path, const char *ptxas, int few,
                         bool each) {
  Bytes all = {0};
  int count = 0, first = sm == NETC_SM_75 ? 0 : 1; /* the first kind that is of the family */
  for (int kind = first; kind < KINDS; kind++) {
    Totals t = {0};
    if (sm == NETC_SM_90A && kind != SM_90A) continue;
    if (!each || kind == first || sm == NETC_SM_90A) {
      bytes_free(&all);
      all = (Bytes){0};
      count = sm == NETC_SM_90A ? texts(c, sm, NULL, 0, few, &all)
                                : texts(c, sm, NULL, each ? 0 : kind, each ? 1 : KINDS * few, &all);
    }
    if (!ptxas || !count) continue;
    assemble(ptxas, kinds[kind], &all, &t);
    print_message(
        "%s, %s, text for %s: %d codes, at most %d registers and %d bytes of shared memory, %d spill\n", path,
        kinds[kind], simt_sm_name(sm), t.kernels, t.registers, t.shared, t.spills);
    assert_int_equal(t.kernels, count);
    assert_int_equal(t.spills, 0);
    assert_int_equal(t.advice, 0);
  }
  bytes_free(&all);
}

/* One in `few` of the kernels of model `path`; `each` for every kind of GPU, else for one of them. */
static void check_model_on(const Machine *m, const char *path, const Define *define, int n, int few,
                           bool each) {
  const char *ptxas = find_ptxas();
  if (getenv("NETC_PTX_ALL")) few = 1;
  Arena *a = arena_new();
  SharedCodes codes = codes_of_model(a, m, path, define, n, true);
  for (int sm = NETC_SM_75; sm < NETC_SM_COUNT; sm++)
    check_family(&codes, (NetcSm)sm, path, ptxas, few, each);
  if (!ptxas) print_message("%s: no ptxas on this machine, PTX is not assembled\n", path);
  arena_free(a);
}

static void check_model(const char *path, const Define *define, int n, int few, bool each) {
  check_model_on(&machine_gpu, path, define, n, few, each);
}

/* For a single processor the largest tiles are best. */
TEST(large_tiles_assemble) {
  Machine one = machine_gpu;
  one.sms = 1;
  const Define d[] = {{"batch", "2"}, {"size", "[128,128]"}, {"widths", "[64,128]"}, {"precision", "bf16"}};
  check_model_on(&one, "models/unet.net", d, 3, 1, false);
  check_model_on(&one, "models/unet.net", d, 4, 1, false);
}

/* DyBAC's kernels for tensor cores, for one in `few` of the kinds that have them. */
static void check_dybac(const Machine *m, const char *path, const Define *define, int n, int few) {
  static const char *const which[] = {
      "dybac:", "conv_dw:", NULL}; /* those of them that multiply are for sm_80 */
  const char *ptxas = find_ptxas();
  if (getenv("NETC_PTX_ALL")) few = 1;
  Arena *a = arena_new();
  SharedCodes codes = codes_of_model(a, m, path, define, n, false);
  Bytes all = {0};
  int count = texts(&codes, NETC_SM_80, which, 0, 1, &all);
  assert_true(count >= 4);
  for (int kind = 1; ptxas && kind < KINDS; kind += few) {
    Totals t = {0};
    assemble(ptxas, kinds[kind], &all, &t);
    print_message("%s, DyBAC, %s: %d kernels, at most %d registers and %d bytes of shared memory, %d spill\n",
                  path, kinds[kind], t.kernels, t.registers, t.shared, t.spills);
    assert_int_equal(t.kernels, count);
    assert_int_equal(t.spills, 0);
  }
  bytes_free(&all);
  arena_free(a);
}

TEST(dybac_assembles) {
  Machine one = machine_gpu;
  one.sms = 1;
  const Define narrow[] = {{"batch", "1"},
                           {"size", "[64,64]"},
                           {"widths", "[64,128]"},
                           {"disc_width", "8"},
                           {"precision", "bf16"}};
  const Define volume[] = {{"batch", "1"}, {"size", "[16,16,16]"}, {"n_filters", "16"}};
  check_dybac(&one, "models/asenet.net", narrow, 5, 3);
  check_dybac(&one, "models/asenet3d.net", volume, 3, KINDS);
}

/* Sums cut into parts, which cost nothing here: kernels of parts, and those that add them, for one in `few`
 * kinds. */
static void check_parts(const Machine *m, const char *path, const Define *define, int n, int few) {
  static const char *const part[] = {":part", NULL}, *const sum[] = {"sum_parts:n1_ic", NULL};
  const char *ptxas = find_ptxas();
  if (getenv("NETC_PTX_ALL")) few = 1;
  Arena *a = arena_new();
  SharedCodes codes = codes_of_model(a, m, path, define, n, false);
  for (int kind = 0; kind < KINDS; kind += few) {
    NetcSm sm = kind == 0 ? NETC_SM_75 : kind == SM_90A ? NETC_SM_90A : NETC_SM_80;
    Bytes all = {0};
    Totals t = {0};
    int count = texts(&codes, sm, sm == NETC_SM_75 ? sum : part, 0, 1, &all);
    assert_true(count >= 2);
    if (ptxas) {
      assemble(ptxas, kinds[kind], &all, &t);
      print_message(
          "%s, parts, %s: %d kernels, at most %d registers and %d bytes of shared memory, %d spill\n", path,
          kinds[kind], t.kernels, t.registers, t.shared, t.spills);
      assert_true(t.kernels == count && t.spills == 0 && t.advice == 0);
    }
    bytes_free(&all);
  }
  arena_free(a);
}

TEST(parts_assemble) {
  Machine cut = machine_gpu;
  cut.sms = 20, cut.part_steps = 3, cut.launch_cost = cut.byte_cost = 0;
  const Define flat[] = {{"batch", "1"}, {"size", "[32,32]"}, {"widths", "[64,130]"}, {"precision", "bf16"}};
  const Define volume[] = {{"batch", "1"}, {"size", "[16,16,16]"}, {"n_filters", "12"}};
  check_parts(&cut, "models/unet.net", flat, 4, 5);
  check_parts(&cut, "models/vnet.net", volume, 3, KINDS - 1);
}

TEST(unet_assembles) {
  const Define d[] = {{"batch", "2"}, {"size", "[32,32]"}, {"widths", "[32,64]"}};
  check_model("models/unet.net", d, 3, 1, true);
}

TEST(vnet_assembles) {
  const Define d[] = {{"batch", "1"}, {"size", "[16,16,16]"}, {"n_filters", "4"}};
  check_model("models/vnet.net", d, 3, 1, false);
}

TEST(acts_assembles) {
  const Define d[] = {{"batch", "1"}, {"size", "[32,32]"}, {"widths", "[16,64]"}, {"disc_width", "16"}};
  check_model("models/asenet.net", d, 4, 3, false);
}

TEST(acts_in_3d_assembles) {
  const Define d[] = {{"batch", "1"}, {"size", "[16,16,16]"}, {"n_filters", "2"}};
  check_model("models/asenet3d.net", d, 3, 8, false);
}

RUN_TESTS(NULL, NULL)
