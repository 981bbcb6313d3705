/* test_kir_text.c - kernels as text: what is printed, that it reads back as the same code, what is refused;
 * and their identity. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "tests/test.h"
#include "tests/one_arena.h"
#include "codegen/kir/internal.h"
#include "codegen/llvm/lower.h"

static KFn *scale(const char *name, double by, int lanes) {
  KFn *k =
      k_new(arena, name, lanes); /* one call a line: C leaves the order of arguments open, ids depend on it */
  KV x = k_arg(k, K_F32, "x"), y = k_arg(k, K_F32, "y");
  KV task = k_task(k);
  KV base = k_mul(k, task, k_i64(k, 4096));
  KV zero = k_i64(k, 0), n = k_i64(k, 4096);
  KV i = k_for(k, zero, n, lanes);
  KV at = k_add(k, base, i);
  KV v = k_load(k, x, at, true);
  k_store(k, y, at, k_mul(k, v, k_f32(k, by)));
  k_end(k);
  return k;
}

static char *text_of(const KFn *k) {
  char *text = NULL;
  size_t size = 0;
  FILE *out = open_memstream(&text, &size);
  kir_print(out, k);
  fclose(out);
  return text;
}

TEST(a_kernel_is_printed_as_the_text_says) {
  char *text = text_of(scale("scale", 0.5, 16));
  assert_string_equal(text, "kernel \"scale\" lanes 16 {\n"
                            "  v0 = arg 0 \"x\" : f32*\n"
                            "  v1 = arg 1 \"y\" : f32*\n"
                            "  v2 = task : i64\n"
                            "  v4 = mul v2 4096 : i64\n"
                            "  for v8 = 0 to 4096 step 16 {\n"
                            "    v9 = add v4 v8 : i64\n"
                            "    v10 = load v0 v9 : f32v\n"
                            "    v12 = splat 0.5 : f32v\n"
                            "    v13 = mul v10 v12 : f32v\n"
                            "    store v1 v9 v13\n"
                            "  }\n"
                            "}\n");
  free(text);
}

/* What the lowering makes of it; values have no names there, so equal code is equal text. */
static char *llvm_of(const KFn *k, int isa) {
  LLVMContextRef c = LLVMContextCreate();
  LLVMModuleRef m = LLVMModuleCreateWithNameInContext("kernel", c);
  lower_kernel(m, math_expand(arena, k), (NetcIsa)isa, "symbol");
  char *text = LLVMPrintModuleToString(m);
  LLVMDisposeModule(m), LLVMContextDispose(c);
  return text;
}

static KFn *parse(const char *text) {
  char err[IR_ERR];
  KFn *k = kir_parse(arena, &text, err);
  if (!k) fail_msg("%s", err);
  assert_string_equal(text, "");
  return k;
}

static void expect_round_trip(const KFn *k) {
  char *text = text_of(k);
  KFn *got = parse(text);
  assert_string_equal(got->name, k->name);
  assert_int_equal(got->lanes, k->lanes);
  assert_int_equal(got->warps, k->warps);
  assert_int_equal(got->nargs, k->nargs);
  assert_int_equal(got->nparams, k->nparams);
  assert_true(got->nontemporal == k->nontemporal);
  assert_true(got->opaque == k->opaque);
  for (int isa = NETC_ISA_AVX512; isa < NETC_ISA_COUNT && k->lanes == 16; isa++) {
    char *want = llvm_of(k, isa), *have = llvm_of(got, isa);
    assert_string_equal(want, have);
    LLVMDisposeMessage(want), LLVMDisposeMessage(have);
  }
  char *again = text_of(got); /* of numbers that a reader gives, the text stays as it is */
  KFn *second = parse(again);
  char *third = text_of(second);
  assert_string_equal(again, third);
  assert_true(kir_hash(second) == kir_hash(got));
  free(text), free(again), free(third);
}

/* Blocks, locals, scratch, masks, and constants of every kind, one of them a float that looks like an
 * integer. */
static KFn *everything(void) {
  KFn *k = k_new(arena, "every:thing", 16);
  k_opaque_counters(k);
  KV x = k_arg(k, K_F32, "x"), y = k_arg(k, K_BF16, "y"), d = k_arg(k, K_F64, "d");
  k_nontemporal(k, y);
  KV hold = k_scratch(k, K_F32, 64, "hold"), sum = k_local(k, K_F32, true, "sum"),
     n = k_local(k, K_I64, false, "n");
  k_set(k, sum, k_f32(k, 2)), k_set(k, n, k_task(k));
  KV i = k_for(k, k_i64(k, 0), k_i64(k, 64), 16);
  KV v = k_load(k, x, i, true), few = k_first_lanes(k, k_i64(k, 5));
  k_if(k, k_lt(k, k_get(k, n), k_i64(k, -7)));
  k_store_masked(k, hold, i, k_un(k, K_exp, v), few);
  k_else(k);
  k_set(k, sum, k_fma(k, v, k_f32(k, 1e30), k_f32(k, -0.0)));
  k_set(k, sum, k_select(k, few, k_get(k, sum), k_f32(k, -(double)INFINITY)));
  k_end(k);
  KV at = k_add(k, k_mul(k, k_iota(k), k_i32(k, 3)), k_seed(k, 1));
  k_scatter_masked(k, y, at, k_gather(k, hold, at), few);
  k_end(k);
  KV wide = k_cast(k, K_F64, k_un(k, K_hsum, k_get(k, sum)));
  k_store(k, d, k_i64(k, 0), k_mul(k, wide, k_f64(k, 0.1)));
  k_if(k, k_eq(k, k_load(k, d, k_i64(k, 1), false), k_f64(k, 3)));
  k_prefetch(k, x, k_i64(k, 1 << 20));
  k_prefetch_near(k, x, k_i64(k, 1 << 20));
  k_store(k, y, k_i64(k, 9), k_bitcast(k, K_F32, k_pair(k, k_f32(k, 0.5), k_load(k, x, k_i64(k, 3), false))));
  k_end(k);
  return k;
}

TEST(a_text_reads_back_as_the_same_kernel) {
  expect_round_trip(scale("scale", 0.5, 16));
  expect_round_trip(scale("scale", 4096, 16));
  expect_round_trip(everything());
  KFn *numbers = k_new(arena, "numbers", 32);
  numbers->nparams = 3;
  k_store(numbers, k_arg(numbers, K_F32, "y"), k_param(numbers, K_I64, 0), k_param(numbers, K_F32, 2));
  expect_round_trip(numbers);
  KFn *warps = scale("warps", 1, 32);
  static const int over[] = {-1, 0};
  warps->warps = 4, warps->may_alias = over;
  expect_round_trip(warps);
  char *text = text_of(warps);
  assert_int_equal(parse(text)->may_alias[1], 0);
  free(text);
}

static void refuses_text(const char *text, const char *why) {
  char err[IR_ERR] = "";
  assert_null(kir_parse(arena, &text, err));
  if (!strstr(err, why)) fail_msg("expected `%s` in: %s", why, err);
}

TEST(errors_name_their_line) {
#define K "kernel \"k\" lanes 8 {\n"
  refuses_text("function", "line 1: expected `kernel`, found `function`");
  refuses_text("kernel k lanes 8 {", "name in quotes");
  refuses_text("kernel \"k lanes 8 {", "line 1: the string is not closed");
  refuses_text("kernel \"k\" lanes none {", "expected an integer, found `none`");
  refuses_text("kernel \"k\" lanes 7 {\n}\n", "7 lanes");
  refuses_text(K, "the kernel is not closed");
  refuses_text(K "  if true {\n}\n", "the kernel is not closed");
  refuses_text(K "  v0 = frobnicate\n}\n", "line 2: there is no operation `frobnicate`");
  refuses_text(K "  task\n}\n", "task makes a value");
  refuses_text(K "  v0 = barrier\n}\n", "barrier makes no value");
  refuses_text(K "  v0 = task : f33\n}\n", "`f33` is no type");
  refuses_text(K "  v0 = task : i32\n}\n", "result is i32, must be i64");
  refuses_text(K "  v0 = task : i64 and more\n}\n", "unexpected `and`");
  refuses_text(K "  v0 = task : i64\n  v0 = task : i64\n}\n", "line 3: v0 is defined twice");
  refuses_text(K "  v1 = add v0 1 : i64\n}\n", "v0 is not defined before this line");
  refuses_text(K "  v1 = add 1 2x : i64\n}\n", "`2x` is neither a value nor a constant");
  refuses_text(K "  v1 = add 1 : i64\n}\n", "neither a value nor a constant");
  refuses_text(K "  v0 = arg 1 \"x\" : f32*\n}\n", "argument 0 comes next");
  refuses_text(K "  v99999999 = task : i64\n}\n", "expected a value like v12");
  refuses_text(K "  for v0 = 0 to 4 {\n  }\n}\n", "expected `step`");
  refuses_text("kernel \"k\" lanes 8 may_alias [ 0 ] {\n}\n", "0 arguments, and `may_alias` tells of 1");
  refuses_text("", "");
#undef K
}

TEST(the_identity_leaves_out_the_name_only) {
  uint64_t h = kir_hash(scale("a", 0.5, 16));
  assert_true(h == kir_hash(scale("b", 0.5, 16)));
  assert_true(h != kir_hash(scale("a", 0.25, 16)));
  assert_true(h != kir_hash(scale("a", 0.5, 8)));
}

RUN_TESTS(arena_set_up, arena_tear_down)
