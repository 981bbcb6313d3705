/* test_gpu_mutants.c - does the emulation see what it is there to see? Kernels are spoilt in one place: a
 * sync is taken out, a barrier is, an element number is one too large or too small. Every such kernel must
 * end in an error, or in other numbers. And small kernels written for one defect each, for the text of its
 * error; and what crosses lanes, right. */
#include "tests/test.h"
#include "tests/codegen/gpu/mutants.h"

static const struct {
  const char *name, *body;
} functions[] = {
    {"convolution",
     "%x = input \"x\" : f32[1,40,5,6]\n%w = input \"w\" : f32[36,40,3,3]\n%y = conv %x %w {stride=[1,1], "
     "pad=[1,1]}\n"},
    {"depthwise, then pointwise",
     "%x = input \"x\" : f32[1,40,5,6]\n%k = input \"k\" : f32[1,40,3,3]\n%w = input \"w\" : f32[36,40,1,1]\n"
     "%d = dwconv %x %k {stride=[1,1], pad=[1,1]}\n%y = conv %d %w {stride=[1,1], pad=[0,0]}\n"},
    {"depthwise convolution",
     "%x = input \"x\" : f32[2,37,5,6]\n%w = input \"w\" : f32[2,37,3,3]\n%y = dwconv %x %w {stride=[1,1], "
     "pad=[1,1]}\n"},
    {"pooling", "%a = input \"a\" : f32[1,2,4,6]\n%y = maxpool %a {size=[2,2], stride=[2,2], pad=[0,0]}\n"},
    {"softmax", "%a = input \"a\" : f32[2,3,40]\n%y = softmax %a {axis=1}\n"},
    {"sum", "%a = input \"a\" : f32[2,3,400]\n%y = sum %a {axes=[0,2]}\n"},
};
enum { FUNCTIONS = sizeof functions / sizeof *functions };

static int find_sync(const KFn *k, int number) {
  for (int v = 0; v < k->n; v++)
    if (k->ins[v].op == K_sync && number-- == 0) return v;
  return -1;
}

/* Not every sync is needed in every run: codegen/gpu/sync.c takes elements to be the same that it cannot tell
 * apart, some code is not reached with these shapes, and where many stand in turn, others do a missing one's
 * work. So first those go that nobody misses; then no further one may. */
ARENA_TEST(syncs_are_needed) {
  int needed = 0, all = 0, kernels = 0;
  for (int f = 0; f < FUNCTIONS; f++) {
    Subjects list = subjects(functions[f].name, functions[f].body, false);
    for (int i = 0; i < list.n; i++) {
      const Subject *s = &list.subject[i];
      const KFn *k = s->k;
      int kept = 0;
      for (int v; (v = find_sync(k, kept)) >= 0; all++) {
        char err[IR_ERR] = "";
        const KFn *less = altered(k, v, -1, 0);
        if (!is_seen(s, less, err)) k = less;
        else if (strstr(err, "nothing orders the two")) kept++;
        else fail_msg("%s: %s", s->function, err);
      }
      needed += kept, kernels += kept > 0;
    }
  }
  print_message("%d of %d syncs are needed, in %d kernels\n", needed, all, kernels);
  assert_true(kernels >= 4 && needed >= 7);
}

/* Accesses, one element off, either way. It does not show where code is not reached. */
ARENA_TEST(shifted_elements_are_seen) {
  enum { MOST = 16 }; /* of a kernel */
  int seen = 0, all = 0;
  for (int f = 0; f < FUNCTIONS; f++) {
    Subjects list = subjects(functions[f].name, functions[f].body, false);
    for (int i = 0; i < list.n; i++) {
      const Subject *s = &list.subject[i];
      int n = 0, tried = 0, found = 0;
      for (int v = 0; v < s->k->n; v++) n += is_access(&s->k->ins[v]);
      for (int v = 0, at = 0; v < s->k->n; v++) {
        char err[IR_ERR] = "";
        if (!is_access(&s->k->ins[v]) || at++ % (n / MOST + 1)) continue;
        found += is_seen(s, altered(s->k, -1, v, tried++ % 2 ? 1 : -1), err);
      }
      if (!found) fail_msg("%s: no spoilt copy of kernel %s is seen", s->function, s->k->name);
      seen += found, all += tried;
    }
  }
  print_message("%d of %d shifted accesses are seen\n", seen, all);
  assert_true(seen * 5 >= all * 4);
}

/* ---- one defect each ---- */

typedef struct {
  float in[256], out[256];
} Memory;

static bool run_one(KFn *k, Memory *m, int64_t tasks, char err[IR_ERR]) {
  const KFn *list = k;
  for (int i = 0; i < 256; i++) m->in[i] = (float)i, m->out[i] = NAN;
  if (!kir_verify(k, err)) fail_msg("%s", err);
  Emulator *e = emulator_new(&list, 1, err);
  if (!e) fail_msg("%s", err);
  NetcStep step = {0};
  bool good = emulator_launch(e, 0, (EmuBuffer[]){{m->in, sizeof m->in}, {m->out, sizeof m->out}}, tasks,
                              &step, 9, err);
  emulator_free(e);
  return good;
}

static KFn *with_buffers(const char *name) {
  KFn *k = k_new(arena, name, SIMT_LANES);
  k_arg(k, K_F32, "in"), k_arg(k, K_F32, "out");
  return k;
}

static void expect_error(KFn *k, int64_t tasks, const char *text) {
  char err[IR_ERR] = "";
  Memory m;
  if (run_one(k, &m, tasks, err)) fail_msg("%s: no error", k->name);
  if (!strstr(err, text)) fail_msg("%s: \"%s\", expected \"%s\"", k->name, err, text);
}

/* out = in backwards, 32 at a time, through scratch. */
static KFn *reversed(const char *name, bool sync) {
  KFn *k = with_buffers(name);
  KV s = k_scratch(k, K_F32, SIMT_LANES, "s"), at = k_mul(k, k_task(k), k_i64(k, SIMT_LANES));
  k_store(k, s, k_i64(k, 0), k_load(k, 0, at, true));
  if (sync) k_sync(k);
  k_store(k, 1, at, k_gather(k, s, k_sub(k, k_splat(k, k_i32(k, SIMT_LANES - 1)), k_iota(k))));
  return k;
}

ARENA_TEST(lanes_wait) {
  char err[IR_ERR] = "";
  Memory m;
  if (!run_one(reversed("reversed", true), &m, 8, err)) fail_msg("%s", err);
  for (int i = 0; i < 256; i++) assert_true(m.out[i] == (float)(i / 32 * 32 + 31 - i % 32));
  expect_error(reversed("no sync", false), 8, "of s (argument 2): a thread of task");
  /* simt_prepare finds the place by itself, and leaves none where lanes keep to themselves. */
  KFn *k = simt_prepare(arena, reversed("no sync", false));
  if (!run_one(k, &m, 8, err)) fail_msg("%s", err);
  KFn *own = with_buffers("own");
  KV v = k_load(own, 0, k_i64(own, 0), true);
  k_store(own, 1, k_i64(own, 0), v);
  k_store(own, 0, k_i64(own, 0), k_add(own, v, v));
  k_store(own, 0, k_i64(own, 32), k_load(own, 1, k_i64(own, 0), true));
  k = simt_prepare(arena, own);
  for (int i = 0; i < k->n; i++) assert_true(k->ins[i].op != K_sync);
  if (!run_one(k, &m, 1, err)) fail_msg("%s", err);
}

/* Sums by halves as on the host; the largest where there is more than one zero is lane 0's in all lanes. */
ARENA_TEST(lanes_meet) {
  char err[IR_ERR] = "";
  Memory m;
  KFn *k = with_buffers("lanes");
  KV a = k_load(k, 0, k_i64(k, 0), true), b = k_load(k, 0, k_i64(k, 32), true);
  KV third = k_div(k, a, k_splat(k, k_f32(k, 3)));
  k_store(k, 1, k_i64(k, 0), k_zip(k, a, b, false));
  k_store(k, 1, k_i64(k, 32), k_zip(k, a, b, true));
  k_store(k, 1, k_i64(k, 64), k_splat(k, k_un(k, K_hsum, third)));
  k_store(k, 1, k_i64(k, 96), k_splat(k, k_lane(k, third, 5)));
  k_store(k, 1, k_i64(k, 128), k_cast(k, K_F32, k_splat(k, k_un(k, K_hsum, k_cast(k, K_F64, a)))));
  k_store(k, 1, k_i64(k, 160), k_splat(k, k_un(k, K_hmin, k_un(k, K_neg, a))));
  if (!run_one(k, &m, 1, err)) fail_msg("%s", err);
  float sum[SIMT_LANES];
  for (int i = 0; i < SIMT_LANES; i++) sum[i] = (float)i / 3;
  for (int half = SIMT_LANES / 2; half; half /= 2)
    for (int i = 0; i < half; i++) sum[i] += sum[i + half];
  for (int i = 0; i < SIMT_LANES; i++) {
    assert_true(m.out[i] == (float)(i % 2 * 32 + i / 2) && m.out[32 + i] == (float)(i % 2 * 32 + 16 + i / 2));
    assert_true(m.out[64 + i] == sum[0] && m.out[96 + i] == 5.0f / 3);
    assert_true(m.out[128 + i] == 31 * 16 && m.out[160 + i] == -31);
  }
}

/* Four warps: each writes its part of a tile, and reads the part of the next. */
static KFn *handed_on(const char *name, bool barrier) {
  KFn *k = with_buffers(name);
  k->warps = 4;
  KV s = k_scratch(k, K_F32, 4 * SIMT_LANES, "tile"), lanes = k_i64(k, SIMT_LANES);
  KV block = k_mul(k, k_task(k), k_i64(k, 4 * SIMT_LANES)), mine = k_mul(k, k_thread(k), lanes);
  k_store(k, s, mine, k_load(k, 0, k_add(k, block, mine), true));
  if (barrier) k_barrier(k);
  KV next = k_mul(k, k_rem(k, k_add(k, k_thread(k), k_i64(k, 1)), k_i64(k, 4)), lanes);
  k_store(k, 1, k_add(k, block, mine), k_load(k, s, next, true));
  return k;
}

ARENA_TEST(warps_wait) {
  char err[IR_ERR] = "";
  Memory m;
  if (!run_one(handed_on("handed on", true), &m, 2, err)) fail_msg("%s", err);
  for (int i = 0; i < 256; i++) assert_true(m.out[i] == (float)(i / 128 * 128 + (i + 32) % 128));
  expect_error(handed_on("no barrier", false), 2, "of tile (argument 2)");
  KFn *k = with_buffers("some wait");
  k->warps = 2;
  k_if(k, k_eq(k, k_thread(k), k_i64(k, 0)));
  k_barrier(k);
  k_end(k);
  expect_error(k, 1, "wait at v6 = barrier for threads that never come");
}

ARENA_TEST(accesses_are_watched) {
  KFn *k = with_buffers("beyond");
  k_store(k, 1, k_i64(k, 230), k_load(k, 0, k_i64(k, 0), true));
  expect_error(k, 1, "of out (argument 1), which has 256");
  k = with_buffers("before");
  k_load(k, 0, k_i64(k, -1), false);
  k_store(k, 1, k_i64(k, 0), k_load(k, 0, k_i64(k, -1), true));
  expect_error(k, 1, "element -1 of in (argument 0)");
  k = with_buffers("one element, two tasks");
  k_store(k, 1, k_i64(k, 0), k_f32(k, 1));
  expect_error(k, 2, "stored it, and nothing orders the two");
  k = with_buffers("read by another task");
  k_store(k, 1, k_task(k), k_load(k, 1, k_i64(k, 0), false));
  expect_error(k, 2, "of out (argument 1)");
}

static KV loaded_twice(KFn *k) {
  KV lane = k_iota(k);
  return k_lt(k, lane, k_splat(k, k_i32(k, 5)));
}

/* Lanes of a warp that go different ways; only a kernel that takes one lane's value for all can do that. */
ARENA_TEST(lanes_stay_together) {
  KFn *k = with_buffers("apart");
  KV few = loaded_twice(k);
  k->ins[few].type.vec = 0; /* what the builder does not let through */
  k_if(k, few);
  k_store(k, 1, k_i64(k, 0), k_un(k, K_hsum, k_load(k, 0, k_i64(k, 0), true)));
  k_end(k);
  k_sync(k);
  const KFn *list = k;
  char err[IR_ERR] = "";
  Memory m = {0};
  NetcStep step = {0};
  Emulator *e = emulator_unchecked(&list, 1, err);
  assert_non_null(e);
  assert_false(
      emulator_launch(e, 0, (EmuBuffer[]){{m.in, sizeof m.in}, {m.out, sizeof m.out}}, 1, &step, 9, err));
  emulator_free(e);
  if (!strstr(err, "while others of it wait") && !strstr(err, "never come")) fail_msg("%s", err);
}

RUN_TESTS(NULL, NULL)
