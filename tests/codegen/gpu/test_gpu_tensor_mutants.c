/* test_gpu_tensor_mutants.c - kernels for tensor cores, as the emitters write them, spoilt in one place each:
 * a barrier or a wait is taken out, a wait is for one group less, the ring of stages is one stage shorter
 * than is waited for, an offset is one piece off, a word goes to the wrong place, rounding is left out. */
#include "tests/test.h"
#include "tests/codegen/gpu/mutants.h"

/* Each with its gradients: three products. */
static const struct {
  const char *name, *body;
} functions[] = {
    {"convolution",
     "%x = input \"x\" : f32[1,40,7,9]\n%w = input \"w\" : f32[36,40,3,3]\n%y = conv %x %w {stride=[1,1], "
     "pad=[1,1]}\n"},
    {"convolution with strides",
     "%x = input \"x\" : f32[1,20,17,18]\n%w = input \"w\" : f32[18,20,3,3]\n%y = conv %x %w {stride=[2,2], "
     "pad=[1,1]}\n"},
    {"a layer of DyBAC",
     "%x = input \"x\" : f32[1,72,9,17]\n%s = input \"s\" : f32[1,1,9,17]\n%z = mul %x %s\n"
     "%w = input \"w\" : f32[1,72,3,3]\n%u = dwconv %z %w {stride=[1,1], pad=[1,1]}\n"
     "%v = input \"v\" : f32[100,72,1,1]\n%y = conv %u %v {stride=[1,1], pad=[0,0]}\n"},
};
enum { FUNCTIONS = sizeof functions / sizeof *functions };

typedef enum { WAITS_LESS, SHORT_RING, SHIFTED, MISPLACED, UNROUNDED, KINDS } Kind;
static const char *const kind_name[KINDS] = {"waits for one group less", "a ring of one stage less",
                                             "an offset is off by one piece",
                                             "a word goes to its neighbour's place", "is not rounded"};

/* Does spoiling instruction v in this way make sense? */
static bool applies(const KFn *k, int v, Kind kind) {
  const KIns *i = &k->ins[v];
  int64_t c;
  switch (kind) {
  case WAITS_LESS: return i->op == K_wait_group;
  /* Where the next stage is: the first but for the one that ends the scratch. */
  case SHORT_RING:
    return i->op == K_eq && i->type.base == K_I1 && !i->type.vec && k->ins[i->in[0]].type.base == K_I32 &&
           k_is_const(k, i->in[1], &c);
  case SHIFTED:
    return i->op == K_copy_async || i->op == K_load_matrix || i->op == K_gather_at ||
           (i->op == K_load && i->type.vec && k->ins[i->in[0]].op == K_arg);
  case MISPLACED: return i->op == K_scatter;
  default: return i->op == K_tf32;
  }
}

static int stage_words(const KFn *k, const KIns *end) {
  const KIns *next = &k->ins[end->in[0]]; /* get + words */
  int64_t words = 0;
  k_is_const(k, next->in[1], &words);
  return (int)words;
}

static KFn *spoilt(const KFn *k, int at, Kind kind) {
  KV *map;
  KFn *out = spoilt_begin(k, &map);
  for (int v = 0; v < k->n; v++) {
    KIns ins = spoilt_ins(k, v, map);
    int64_t c = 0;
    if (v == at) switch (kind) {
      case WAITS_LESS: ins.imm++; break;
      case SHORT_RING:
        k_is_const(k, k->ins[v].in[1], &c);
        ins.in[1] = k_i32(out, (int32_t)c - stage_words(k, &k->ins[v]));
        break;
      case SHIFTED:
        if (ins.op == K_copy_async)
          ins.in[3] = k_add(out, ins.in[3], k_splat(out, k_i32(out, (int32_t)ins.imm / 4)));
        else if (ins.op == K_load) ins.in[1] = k_add(out, ins.in[1], k_i64(out, 1));
        else ins.imm += ins.op == K_gather_at ? 1 : 4;
        break;
      case MISPLACED: ins.in[1] = k_add(out, ins.in[1], k_splat(out, k_i32(out, 1))); break;
      default: map[v] = ins.in[0]; continue;
      }
    map[v] = kir_append(out, &ins);
  }
  return out;
}

static bool multiplies(const Subject *s) {
  for (int v = 0; v < s->k->n; v++)
    if (s->k->ins[v].op == K_mma_tf32) return true;
  return false;
}

typedef struct {
  int products, waits, ends, kind[KINDS], of[KINDS];
} Counts;

/* Every wait is needed, and every barrier behind one. The barriers behind the last step are where results
 * take the place of stages that others may still read, which depends on the shape. */
static void drop_waits(const Subject *s, Counts *c) {
  for (int v = 0; v < s->k->n; v++) {
    char err[IR_ERR] = "";
    KOp op = s->k->ins[v].op;
    if (op != K_barrier && op != K_wait_group) continue;
    bool seen = is_seen(s, altered(s->k, v, -1, 0), err);
    bool end = op == K_barrier && s->k->ins[v - 1].op != K_wait_group;
    if (!seen && !end) fail_msg("%s: nobody misses v%d = %s", s->k->name, v, kop_info[op].name);
    /* In a ring of two stages it is a copy on its way that meets who still reads. */
    bool told =
        strstr(err, "no wait_group has waited") || (op == K_barrier && strstr(err, "nothing orders the two"));
    if (seen && !told) fail_msg("%s, without v%d = %s: %s", s->k->name, v, kop_info[op].name, err);
    c->waits += !end, c->ends += end && seen;
  }
}

static void spoil(const Subject *s, Kind kind, Counts *c) {
  enum { MOST = 6 }; /* of a kind and a kernel */
  int n = 0, at = 0, found = 0;
  for (int v = 0; v < s->k->n; v++) n += applies(s->k, v, kind);
  for (int v = 0; v < s->k->n; v++) {
    char err[IR_ERR] = "";
    if (!applies(s->k, v, kind) || at++ % (n / MOST + 1)) continue;
    found += is_seen(s, spoilt(s->k, v, kind), err), c->of[kind]++;
  }
  if (!n || !found) fail_msg("%s: of %d places, none that %s is seen", s->k->name, n, kind_name[kind]);
  c->kind[kind] += found;
}

ARENA_TEST(defects_are_seen) {
  Counts c = {0};
  for (int f = 0; f < FUNCTIONS; f++) {
    Subjects list = subjects(functions[f].name, functions[f].body, true);
    for (int i = 0; i < list.n; i++) {
      if (!multiplies(&list.subject[i])) continue;
      c.products++;
      drop_waits(&list.subject[i], &c);
      for (int kind = 0; kind < KINDS; kind++) spoil(&list.subject[i], (Kind)kind, &c);
    }
  }
  print_message("%d waits and barriers in loops are needed, all of them, and %d at the end\n", c.waits,
                c.ends);
  for (int kind = 0; kind < KINDS; kind++)
    print_message("%s: %d of %d are seen\n", kind_name[kind], c.kind[kind], c.of[kind]);
  assert_int_equal(c.products, 9);
  assert_true(c.waits >= 24 && c.ends >= 2 && c.kind[WAITS_LESS] == c.of[WAITS_LESS]);
}

RUN_TESTS(NULL, NULL)
