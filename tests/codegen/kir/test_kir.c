/* test_kir.c - the kernel level: every operation against C on every instruction set of this machine, the
 * builder's folding and refusals, and the verifier. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "tests/test.h"
#include "tests/one_arena.h"
#include "codegen/kir/internal.h"
#include "codegen/isa.h"
#include "codegen/emulator/jit.h"

enum { COUNT = 64, GUARD = 12345 };

static int lanes_of(int isa) { return isa == NETC_ISA_AVX2 ? 8 : 16; }

static void run(const KFn *k, int isa, void *const *args, int64_t task) {
  char err[IR_ERR] = "";
  NetcStep step = {0x1122334455667788u, 99};
  Jit *j = jit_new(&k, 1, (NetcIsa)isa, err);
  if (!j) fail_msg("%s", err);
  NetcKernelFn fn = jit_get(j, 0);
  assert_non_null(fn);
  fn(args, &step, task);
  jit_free(j);
}

/* ---- arithmetic ---- */
typedef struct {
  KOp op;
  int operands;
} Case;

static const int32_t int_data[] = {
    0, 1, -1, 2, 3, 7, -8, 100, 65536, -65537, INT32_MAX, INT32_MIN + 1, 12345678, -987654321, 31, 5};
static const float float_data[] = {0,     -0.0f,  1,      -1, 0.5f,    1.5f,   -2.5f, 3.25f,
                                   1e30f, -1e30f, 1e-30f, 7,  100.75f, -99.5f, NAN,   4};

static int32_t int_in(int operand, int i) { return int_data[(i * (2 * operand + 1) + 5 * operand) % 16]; }
static float float_in(int operand, int i) { return float_data[(i * (2 * operand + 1) + 5 * operand) % 16]; }

static int32_t c_int(KOp op, int32_t a, int32_t b) {
  uint32_t ua = (uint32_t)a, ub = (uint32_t)b;
  switch (op) {
  case K_add: return (int32_t)(ua + ub);
  case K_sub: return (int32_t)(ua - ub);
  case K_mul: return (int32_t)(ua * ub);
  case K_mulhi: return (int32_t)((uint64_t)ua * ub >> 32);
  case K_div: return a / b;
  case K_rem: return a % b;
  case K_neg: return (int32_t)(0u - ua);
  case K_min: return a < b ? a : b;
  case K_max: return a > b ? a : b;
  case K_and: return a & b;
  case K_or: return a | b;
  case K_xor: return a ^ b;
  case K_shl: return (int32_t)(ua << ub);
  case K_shr: return (int32_t)(ua >> ub);
  case K_lt: return a < b;
  case K_le: return a <= b;
  default: return a == b;
  }
}

static float c_float(KOp op, float a, float b, float c) {
  switch (op) {
  case K_add: return a + b;
  case K_sub: return a - b;
  case K_mul: return a * b;
  case K_div: return a / b;
  case K_fma: return fmaf(a, b, c);
  case K_neg: return -a;
  case K_min: return isnan(a) || a < b ? a : b;
  case K_max: return isnan(a) || a > b ? a : b;
  case K_lt: return a < b;
  case K_le: return a <= b;
  case K_eq: return a == b;
  case K_sqrt: return sqrtf(a);
  case K_floor: return floorf(a);
  default: return fabsf(a);
  }
}

static KV apply(KFn *k, const Case *c, KV *v) {
  KV r = c->operands == 3   ? k_fma(k, v[0], v[1], v[2])
         : c->operands == 2 ? k_bin(k, c->op, v[0], v[1])
                            : k_un(k, c->op, v[0]);
  return r >= 0 && k->ins[r].type.base == K_I1 ? k_cast(k, K_F32, r) : r;
}

/* args: operands a, b, c of type `base`; results of scalars and of vectors, f32 for comparisons. */
static KFn *op_kernel(const Case *c, KBase base, KBase out, int lanes) {
  KFn *k = k_new(arena, "op", lanes);
  KV in[3] = {k_arg(k, base, "a"), k_arg(k, base, "b"), k_arg(k, base, "c")}, v[3];
  KV rs = k_arg(k, out, "scalar"), rv = k_arg(k, out, "vector");
  KV i = k_for(k, k_i64(k, 0), k_i64(k, COUNT), 1);
  for (int o = 0; o < 3; o++) v[o] = k_load(k, in[o], i, false);
  k_store(k, rs, i, apply(k, c, v));
  k_end(k);
  KV j = k_for(k, k_i64(k, 0), k_i64(k, COUNT), lanes);
  for (int o = 0; o < 3; o++) v[o] = k_load(k, in[o], j, true);
  k_store(k, rv, j, apply(k, c, v));
  k_end(k);
  return k;
}

static bool compares(KOp op) { return op == K_lt || op == K_le || op == K_eq; }

TEST(integer_ops_are_those_of_c) {
  static const Case cases[] = {{K_add, 2}, {K_sub, 2}, {K_mul, 2}, {K_mulhi, 2}, {K_div, 2}, {K_rem, 2},
                               {K_neg, 1}, {K_min, 2}, {K_max, 2}, {K_and, 2},   {K_or, 2},  {K_xor, 2},
                               {K_shl, 2}, {K_shr, 2}, {K_lt, 2},  {K_le, 2},    {K_eq, 2}};
  for (int isa = 0; isa < NETC_ISA_COUNT; isa++)
    for (size_t n = 0; n < sizeof cases / sizeof *cases; n++) {
      const Case *c = &cases[n];
      int32_t in[3][COUNT], scalar[COUNT], vector[COUNT];
      for (int o = 0; o < 3; o++)
        for (int i = 0; i < COUNT; i++) in[o][i] = int_in(o, i);
      for (int i = 0; i < COUNT; i++) {
        if (c->op == K_shl || c->op == K_shr) in[1][i] &= 31;
        if ((c->op == K_div || c->op == K_rem) && in[1][i] == 0) in[1][i] = 3;
      }
      bool compare = compares(c->op);
      run(op_kernel(c, K_I32, compare ? K_F32 : K_I32, lanes_of(isa)), isa,
          (void *[]){in[0], in[1], in[2], scalar, vector}, 0);
      for (int i = 0; i < COUNT; i++) {
        int32_t want = c_int(c->op, in[0][i], in[1][i]);
        float f = (float)want;
        if (compare) memcpy(&want, &f, sizeof f);
        if (scalar[i] != want || vector[i] != want)
          fail_msg("isa %d: %s %d %d = %d, %d, want %d", isa, kop_info[c->op].name, in[0][i], in[1][i],
                   scalar[i], vector[i], want);
      }
    }
}

TEST(float_ops_are_those_of_c) {
  static const Case cases[] = {{K_add, 2}, {K_sub, 2},  {K_mul, 2},   {K_div, 2}, {K_fma, 3},
                               {K_neg, 1}, {K_min, 2},  {K_max, 2},   {K_lt, 2},  {K_le, 2},
                               {K_eq, 2},  {K_sqrt, 1}, {K_floor, 1}, {K_abs, 1}};
  for (int isa = 0; isa < NETC_ISA_COUNT; isa++)
    for (size_t n = 0; n < sizeof cases / sizeof *cases; n++) {
      const Case *c = &cases[n];
      float in[3][COUNT], scalar[COUNT], vector[COUNT];
      for (int o = 0; o < 3; o++)
        for (int i = 0; i < COUNT; i++) in[o][i] = float_in(o, i);
      run(op_kernel(c, K_F32, K_F32, lanes_of(isa)), isa, (void *[]){in[0], in[1], in[2], scalar, vector}, 0);
      for (int i = 0; i < COUNT; i++) {
        float want = c_float(c->op, in[0][i], in[1][i], in[2][i]);
        bool same = isnan(want) ? isnan(scalar[i]) && isnan(vector[i])
                                : !memcmp(&scalar[i], &want, 4) && !memcmp(&vector[i], &want, 4);
        if (!same)
          fail_msg("isa %d: %s %g %g %g = %g, %g, want %g", isa, kop_info[c->op].name, in[0][i], in[1][i],
                   in[2][i], scalar[i], vector[i], want);
      }
    }
}

/* f64 and i64 scalars, casts both ways, bitcasts, select, the seed. */
TEST(casts_and_bitcasts_are_those_of_c) {
  for (int isa = 0; isa < NETC_ISA_COUNT; isa++) {
    KFn *k = k_new(arena, "casts", lanes_of(isa));
    KV f = k_arg(k, K_F32, "f"), n = k_arg(k, K_I32, "n"), of = k_arg(k, K_F32, "of"),
       on = k_arg(k, K_I32, "on");
    KV o = k_arg(k, K_F64, "o"), t = k_arg(k, K_I64, "t"), zero = k_i64(k, 0);
    KV x = k_load(k, f, zero, true), i = k_load(k, n, zero, true);
    k_store(k, on, zero, k_select(k, k_lt(k, i, k_i32(k, 0)), k_cast(k, K_I32, x), k_bitcast(k, K_I32, x)));
    k_store(k, of, zero, k_select(k, k_lt(k, i, k_i32(k, 0)), k_cast(k, K_F32, i), k_bitcast(k, K_F32, i)));
    KV d = k_div(k, k_cast(k, K_F64, k_load(k, f, k_i64(k, 5), false)), k_f64(k, 3));
    k_store(k, o, zero, d);
    k_store(k, of, k_i64(k, 16), k_cast(k, K_F32, d));
    k_store(
        k, t, zero,
        k_add(k, k_cast(k, K_I64, k_load(k, n, k_i64(k, 2), false)), k_mul(k, k_task(k), k_i64(k, 1000))));
    k_store(k, on, k_i64(k, 16), k_cast(k, K_I32, k_bin(k, K_shr, k_load(k, t, zero, false), k_i64(k, 32))));
    for (int w = 0; w < 3; w++) k_store(k, on, k_i64(k, 17 + w), k_seed(k, w));
    k_store(k, t, k_i64(k, 1), k_thread(k));
    int32_t in[16], ri[20];
    float fl[16], rf[17];
    double rd;
    int64_t rt[2] = {0, GUARD}, task = INT64_C(0x500000000);
    for (int j = 0; j < 16; j++) in[j] = int_in(0, j), fl[j] = (float)j * 2.75f - 20;
    run(k, isa, (void *[]){fl, in, rf, ri, &rd, rt}, task);
    for (int j = 0; j < lanes_of(isa); j++) {
      int32_t same_bits;
      float same_float;
      memcpy(&same_bits, &fl[j], 4), memcpy(&same_float, &in[j], 4);
      assert_int_equal(ri[j], in[j] < 0 ? (int32_t)fl[j] : same_bits);
      assert_true(in[j] < 0 ? rf[j] == (float)in[j] : !memcmp(&rf[j], &same_float, 4));
    }
    assert_true(rd == (double)fl[5] / 3 && rf[16] == (float)((double)fl[5] / 3));
    assert_int_equal(rt[0], in[2] + task * 1000);
    assert_int_equal(ri[16], (int32_t)((uint64_t)rt[0] >> 32));
    assert_int_equal((uint32_t)ri[17], 0x55667788);
    assert_int_equal(ri[18], 0x11223344);
    assert_int_equal(ri[19], 99);
    assert_int_equal(rt[1], 0);
  }
}

/* ---- lanes ---- */
TEST(sums_and_extremes_go_over_all_lanes) {
  for (int isa = 0; isa < NETC_ISA_COUNT; isa++) {
    int lanes = lanes_of(isa);
    KFn *k = k_new(arena, "horizontal", lanes);
    KV x = k_arg(k, K_F32, "x"), y = k_arg(k, K_F32, "y"), n = k_arg(k, K_I32, "n"), zero = k_i64(k, 0);
    KV v = k_load(k, x, zero, true);
    k_store(k, y, zero, k_un(k, K_hsum, v));
    k_store(k, y, k_i64(k, 1), k_un(k, K_hmax, v));
    k_store(k, y, k_i64(k, 2), k_un(k, K_hmin, v));
    k_store(k, y, k_i64(k, 3), k_lane(k, v, 5));
    k_store(k, n, zero, k_un(k, K_hsum, k_mul(k, k_iota(k), k_iota(k))));
    float data[16], part[16], out[4];
    int32_t squares, want = 0;
    for (int i = 0; i < 16; i++) data[i] = part[i] = 1.0f / (float)(3 * i + 1) * (i % 2 ? -1 : 1);
    run(k, isa, (void *[]){data, out, &squares}, 0);
    for (int half = lanes / 2; half >= 1; half /= 2)
      for (int i = 0; i < half; i++) part[i] += part[half + i];
    for (int i = 0; i < lanes; i++) want += i * i;
    assert_true(out[0] == part[0]);
    assert_true(out[1] == data[0] && out[2] == data[1] && out[3] == data[5]);
    assert_int_equal(squares, want);
    for (int i = 0; i < lanes; i++) { /* NaN in any lane is the extreme of all */
      float keep = data[i];
      data[i] = NAN;
      run(k, isa, (void *[]){data, out, &squares}, 0);
      assert_true(isnan(out[1]) && isnan(out[2]));
      data[i] = keep;
    }
  }
}

/* With a number, which takes another form. */
TEST(extremes_with_a_number_are_those_of_c) {
  for (int isa = 0; isa < NETC_ISA_COUNT; isa++) {
    int lanes = lanes_of(isa);
    KFn *k = k_new(arena, "extremes", lanes);
    KV x = k_arg(k, K_F32, "x"), y = k_arg(k, K_F32, "y"), v = k_load(k, x, k_i64(k, 0), true),
       half = k_f32(k, 0.5);
    k_store(k, y, k_i64(k, 0), k_min(k, v, half));
    k_store(k, y, k_i64(k, lanes), k_min(k, half, v));
    k_store(k, y, k_i64(k, 2 * lanes), k_max(k, v, half));
    k_store(k, y, k_i64(k, 3 * lanes), k_max(k, half, v));
    float data[16], out[64];
    for (int i = 0; i < 16; i++) data[i] = i % 3 == 2 ? NAN : (float)i * 0.125f;
    run(k, isa, (void *[]){data, out}, 0);
    for (int form = 0; form < 4; form++)
      for (int i = 0; i < lanes; i++) {
        float got = out[form * lanes + i], want = form < 2 ? fminf(data[i], 0.5f) : fmaxf(data[i], 0.5f);
        assert_true(isnan(data[i]) ? isnan(got) : got == want);
      }
  }
}

/* Masked and indexed accesses at an offset that is not aligned to the vector. */
/* A matrix of lanes x lanes, transposed. */
TEST(a_square_of_lanes_is_transposed) {
  for (int isa = 0; isa < NETC_ISA_COUNT; isa++) {
    int n = lanes_of(isa);
    float in[16 * 16], out[16 * 16];
    KFn *k = k_new(arena, "transpose", n);
    KV x = k_arg(k, K_F32, "x"), y = k_arg(k, K_F32, "y"), v[16];
    for (int i = 0; i < n; i++) v[i] = k_load(k, x, k_i64(k, i * n), true);
    k_transpose(k, v);
    for (int i = 0; i < n; i++) k_store(k, y, k_i64(k, i * n), v[i]);
    for (int i = 0; i < n * n; i++) in[i] = (float)i;
    run(k, isa, (void *[]){in, out}, 0);
    for (int i = 0; i < n; i++)
      for (int j = 0; j < n; j++) assert_true(out[i * n + j] == in[j * n + i]);
  }
}

TEST(masked_and_indexed_accesses_leave_their_neighbours) {
  for (int isa = 0; isa < NETC_ISA_COUNT; isa++) {
    int lanes = lanes_of(isa), first = lanes - 3;
    KFn *k = k_new(arena, "memory", lanes);
    KV x = k_arg(k, K_F32, "x"), y = k_arg(k, K_F32, "y");
    KV mask = k_first_lanes(k, k_add(k, k_task(k), k_i64(k, 0))), at = k_i64(k, 3);
    KV odd = k_add(k, k_mul(k, k_iota(k), k_i32(k, 2)), k_i32(k, 1));
    k_store_masked(k, y, k_i64(k, 1), k_load_masked(k, x, at, mask), mask);
    k_store(k, y, k_i64(k, 20), k_load_masked(k, x, at, mask));
    k_store(k, y, k_i64(k, 40), k_gather(k, x, odd));
    k_store(k, y, k_i64(k, 60), k_gather_masked(k, x, odd, mask));
    k_scatter(k, y, k_add(k, odd, k_i32(k, 80)), k_load(k, x, at, true));
    k_scatter_masked(k, y, k_add(k, odd, k_i32(k, 120)), k_f32(k, 7), mask);
    float in[40], out[160];
    for (int i = 0; i < 40; i++) in[i] = (float)(i + 1);
    for (int i = 0; i < 160; i++) out[i] = GUARD;
    run(k, isa, (void *[]){in, out}, first);
    for (int i = 0; i < lanes; i++) {
      bool on = i < first;
      assert_true(out[1 + i] == (on ? in[3 + i] : (float)GUARD));
      assert_true(out[20 + i] == (on ? in[3 + i] : 0));
      assert_true(out[40 + i] == in[2 * i + 1]);
      assert_true(out[60 + i] == (on ? in[2 * i + 1] : 0));
      assert_true(out[81 + 2 * i] == in[3 + i] && out[82 + 2 * i] == GUARD);
      assert_true(out[121 + 2 * i] == (on ? 7 : GUARD));
    }
  }
}

/* ---- control ---- */
/* Loops that run zero, some and a broken number of times; if with and without else; locals over them;
 * scratch. */
TEST(loops_and_branches_run_as_often_as_they_should) {
  for (int isa = 0; isa < NETC_ISA_COUNT; isa++) {
    KFn *k = k_new(arena, "control", lanes_of(isa));
    KV y = k_arg(k, K_I64, "y"), n = k_task(k);
    KV sum = k_local(k, K_I64, false, "sum"), kept = k_scratch(k, K_I64, 16, "kept");
    k_set(k, sum, k_i64(k, 0));
    KV i = k_for(k, k_i64(k, 0), n, 3);
    k_store(k, kept, i, k_i64(k, 1));
    KV j = k_for(k, i, k_add(k, i, k_i64(k, 2)), 1);
    k_if(k, k_eq(k, k_rem(k, j, k_i64(k, 2)), k_i64(k, 0)));
    k_set(k, sum, k_add(k, k_get(k, sum), j));
    k_else(k);
    k_if(k, k_lt(k, k_i64(k, 5), j));
    k_set(k, sum, k_sub(k, k_get(k, sum), k_i64(k, 100)));
    k_end(k);
    k_end(k);
    k_end(k);
    k_barrier(k);
    k_prefetch(k, y, k_mul(k, i, k_i64(k, -1000000)));
    k_set(k, sum, k_add(k, k_get(k, sum), k_load(k, kept, i, false)));
    k_end(k);
    k_store(k, y, k_i64(k, 0), k_get(k, sum));
    for (int64_t task = -1; task <= 14; task++) {
      int64_t got = GUARD, want = 0;
      run(k, isa, (void *[]){&got}, task);
      for (int64_t a = 0; a < task; a += 3, want++)
        for (int64_t b = a; b < a + 2; b++) want += b % 2 == 0 ? b : b > 5 ? -100 : 0;
      assert_int_equal(got, want);
    }
  }
}

/* ---- the builder ---- */
static int64_t int_of(const KFn *k, KV v) {
  int64_t out = GUARD;
  assert_true(k_is_const(k, v, &out));
  return out;
}

TEST(the_builder_folds_what_is_known) {
  KFn *k = k_new(arena, "fold", 16);
  KV x = k_task(k), seven = k_i64(k, 7), two = k_i64(k, 2), one = k_i64(k, 1), zero = k_i64(k, 0);
  int n = k->n;
  assert_int_equal(k_add(k, x, zero), x);
  assert_int_equal(k_add(k, zero, x), x);
  assert_int_equal(k_sub(k, x, zero), x);
  assert_int_equal(k_mul(k, x, one), x);
  assert_int_equal(k_mul(k, one, x), x);
  assert_int_equal(k_div(k, x, one), x);
  assert_int_equal(k->n, n);
  assert_int_equal(int_of(k, k_mul(k, x, zero)), 0);
  assert_int_equal(int_of(k, k_rem(k, x, one)), 0);
  assert_int_equal(int_of(k, k_mul(k, k_add(k, seven, two), k_sub(k, two, seven))), -45);
  assert_int_equal(int_of(k, k_div(k, k_i64(k, -7), two)), -3);
  assert_int_equal(int_of(k, k_rem(k, k_i64(k, -7), two)), -1);
  assert_int_equal(int_of(k, k_add(k, k_i32(k, INT32_MAX), k_i32(k, 1))), INT32_MIN);
  assert_int_equal(int_of(k, k_bin(k, K_shr, k_i32(k, -1), k_i32(k, 28))), 15);
  assert_int_equal(int_of(k, k_cast(k, K_I32, k_i64(k, INT64_C(0x100000005)))), 5);
  assert_int_equal(k_select(k, k_lt(k, two, seven), x, zero), x);
  KV f = k_add(k, k_f32(k, 0.1), k_f32(k, 0.2));
  assert_true(k->ins[f].op == K_const && k->ins[f].fimm == (double)(0.1f + 0.2f));
  KV y = k_load(k, k_scratch(k, K_F32, 1, "s"), zero, false);
  assert_int_equal(k->ins[k_add(k, y, k_f32(k, 0))].op, K_add); /* -0 + 0 is not -0 */
  assert_string_equal(k->err, "");
  assert_int_equal(k->ins[k_div(k, seven, zero)].op, K_div); /* left to trap where it is run, if it is */
}

/* A misuse is remembered, whatever follows is accepted, and the verifier repeats the first one. */
static void expect_error(void (*misuse)(KFn *, KV x, KV task), const char *part) {
  KFn *k = k_new(arena, "wrong", 8);
  KV x = k_arg(k, K_F32, "x");
  misuse(k, x, k_task(k));
  k_store(k, x, k_i64(k, 0), k_add(k, K_NONE, K_NONE));
  char err[IR_ERR] = "";
  if (!strstr(k->err, part)) fail_msg("\"%s\" lacks \"%s\"", k->err, part);
  assert_false(kir_verify(k, err));
  assert_non_null(strstr(err, part));
  assert_non_null(strstr(err, "wrong"));
  const KFn *kernel = k;
  assert_null(jit_new(&kernel, 1, NETC_ISA_AVX2, err));
}
static void mix_ints(KFn *k, KV x, KV task) {
  (void)x;
  k_add(k, task, k_i32(k, 1));
}
static void load_vector_at(KFn *k, KV x, KV task) {
  (void)task;
  k_load(k, x, k_iota(k), true);
}
static void store_type(KFn *k, KV x, KV task) { k_store(k, x, task, task); }
static void buffer_as_value(KFn *k, KV x, KV task) { k_add(k, x, task); }
static void get_of_value(KFn *k, KV x, KV task) {
  (void)x;
  k_get(k, task);
}
static void zero_step(KFn *k, KV x, KV task) {
  (void)x;
  k_for(k, task, task, 0);
}
static void vector_if(KFn *k, KV x, KV task) {
  (void)x;
  (void)task;
  k_if(k, k_lt(k, k_iota(k), k_i32(k, 3)));
}
static void exp_of_int(KFn *k, KV x, KV task) {
  (void)x;
  k_un(k, K_exp, task);
}
static void far_lane(KFn *k, KV x, KV task) { k_lane(k, k_load(k, x, task, true), 8); }
static void set_wrong(KFn *k, KV x, KV task) {
  k_set(k, k_local(k, K_F32, false, "s"), k_load(k, x, task, true));
}

TEST(the_builder_refuses_misuse) {
  expect_error(mix_ints, "cast one");
  expect_error(load_vector_at, "scalar i64");
  expect_error(store_type, "holds f32");
  expect_error(buffer_as_value, "buffer");
  expect_error(get_of_value, "local");
  expect_error(zero_step, "step 0");
  expect_error(vector_if, "scalar i1");
  expect_error(exp_of_int, "f32");
  expect_error(far_lane, "lane 8");
  expect_error(set_wrong, "local s");
}

/* ---- verifier: kernels the builder would not make ---- */
static void expect_bad(KFn *k, const char *part) {
  char err[IR_ERR] = "";
  assert_false(kir_verify(k, err));
  if (!strstr(err, part)) fail_msg("\"%s\" lacks \"%s\"", err, part);
}

TEST(the_verifier_finds_what_is_wrong) {
  KFn *k = k_new(arena, "open", 8);
  k_for(k, k_i64(k, 0), k_task(k), 1);
  expect_bad(k, "never closed");

  k = k_new(arena, "scope", 8);
  KV x = k_arg(k, K_F32, "x");
  KV i = k_for(k, k_i64(k, 0), k_task(k), 1);
  KV v = k_load(k, x, i, false);
  k_end(k);
  k_store(k, x, k_i64(k, 0), v);
  expect_bad(k, "block that is closed");

  k = k_new(arena, "counter", 8);
  x = k_arg(k, K_F32, "x");
  i = k_for(k, k_i64(k, 0), k_task(k), 1);
  k_end(k);
  k_store(k, x, i, k_f32(k, 0));
  expect_bad(k, "block that is closed");

  k = k_new(arena, "branch", 8);
  x = k_arg(k, K_F32, "x");
  k_if(k, k_lt(k, k_task(k), k_i64(k, 3)));
  v = k_load(k, x, k_i64(k, 0), false);
  k_else(k);
  k_store(k, x, k_i64(k, 1), v);
  k_end(k);
  expect_bad(k, "block that is closed");

  k = k_new(arena, "end", 8);
  k_end(k);
  expect_bad(k, "closes no block");

  k = k_new(arena, "else", 8);
  k_for(k, k_i64(k, 0), k_task(k), 1);
  k_else(k);
  expect_bad(k, "no `if`");

  k = k_new(arena, "forward", 8);
  x = k_arg(k, K_F32, "x");
  v = k_add(k, k_task(k), k_task(k));
  k->ins[v].in[1] = v + 1;
  k_store(k, x, k_i64(k, 0), k_f32(k, 0));
  expect_bad(k, "not defined before");

  k = k_new(arena, "types", 8);
  v = k_add(k, k_task(k), k_task(k));
  k->ins[v].type.base = K_F32;
  expect_bad(k, "result is f32, must be i64");

  k = k_new(arena, "scratch", 8);
  k_scratch(k, K_F32, 600000, "big");
  expect_bad(k, "scratch");

  k = k_new(arena, "lanes", 4);
  expect_bad(k, "4 lanes");
}

/* ---- what goes past the caches ---- */

/* y[task * 32 + i + off] = x[..] * 2 for i = 0, lanes, .. */
static KFn *doubling(int lanes, int64_t off, bool stream) {
  KFn *k = k_new(arena, "doubling", lanes);
  KV x = k_arg(k, K_F32, "x"), y = k_arg(k, K_F32, "y");
  if (stream) k_nontemporal(k, y);
  KV from = k_add(k, k_mul(k, k_task(k), k_i64(k, 32)), k_i64(k, off));
  KV i = k_for(k, from, k_add(k, from, k_i64(k, 32)), lanes);
  KV v = k_load(k, x, i, true);
  k_store(k, y, i, k_add(k, v, v));
  k_end(k);
  return k;
}

static int64_t last_store_divides(const KFn *k) {
  for (int v = k->n - 1; v >= 0; v--)
    if (k->ins[v].op == K_store) return kir_divides(k, k->ins[v].in[1]);
  return 0;
}

TEST(stores_past_the_caches_store_the_same) {
  for (int isa = 0; isa <= netc_host_isa(); isa++)
    for (int64_t off = 0; off <= 16; off++) {
      float *x = aligned_alloc(64, 512), *y = aligned_alloc(64, 512);
      for (int i = 0; i < 128; i++) x[i] = (float)i, y[i] = GUARD;
      const KFn *k = doubling(lanes_of(isa), off, true);
      int64_t d = off ? off & -off : lanes_of(isa);
      assert_int_equal(last_store_divides(k), d < lanes_of(isa) ? d : lanes_of(isa));
      run(k, isa, (void *const[]){x, y}, 1);
      for (int i = 0; i < 128; i++) {
        bool in = i >= 32 + off && i < 64 + off;
        assert_true(y[i] == (in ? 2 * (float)i : GUARD));
      }
      free(x), free(y);
    }
  assert_true(kir_hash(doubling(8, 0, true)) != kir_hash(doubling(8, 0, false)));
}

/* Random terms over counters and tasks, beside their values: the divisor divides them all. */
TEST(the_known_divisor_divides_every_value) {
  uint32_t seed = 7;
  for (int round = 0; round < 300; round++) {
    KFn *k = k_new(arena, "terms", 8);
    enum { TERMS = 24, VALUES = 40 };
    KV v[TERMS];
    int64_t value[TERMS][VALUES];
    for (int t = 0; t < TERMS; t++) {
      seed = seed * 1664525u + 1013904223u;
      int a = t ? (int)(seed >> 8) % t : 0, b = t ? (int)(seed >> 16) % t : 0;
      int64_t c = (int64_t)((seed >> 4) % 9) << (seed >> 20) % 6;
      switch (t < 2 ? t : 2 + (int)(seed >> 24) % 6) {
      case 0: v[t] = k_task(k); break;
      case 1: v[t] = k_for(k, k_i64(k, 32), k_i64(k, 4096), 16); break;
      case 2: v[t] = k_mul(k, v[a], k_i64(k, c)); break;
      case 3: v[t] = k_add(k, v[a], v[b]); break;
      case 4: v[t] = k_sub(k, v[a], v[b]); break;
      case 5: v[t] = k_min(k, v[a], v[b]); break;
      case 6: v[t] = k_rem(k, v[a], k_i64(k, c + 1)); break;
      default: v[t] = k_max(k, v[a], k_i64(k, c)); break;
      }
      int what = t < 2 ? t : 2 + (int)(seed >> 24) % 6;
      for (int i = 0; i < VALUES; i++) {
        int64_t x = value[a][i], y = value[b][i];
        int64_t all[] = {i % 5, 32 + 16 * (i % 7), x * c,       x + y,
                         x - y, x < y ? x : y,     x % (c + 1), x > c ? x : c};
        value[t][i] = all[what];
        assert_int_equal(value[t][i] % kir_divides(k, v[t]), 0);
      }
    }
    k_end(k);
  }
}

RUN_TESTS(arena_set_up, arena_tear_down)
