/* test_gpu_wgmma_mutants.c - the emitters' kernels for sm_90a, spoilt in one place each: a barrier, a wait or
 * a fence is taken out, a matrix begins one piece further, its rows are swapped in another way, its eighth
 * row is elsewhere, its next 32 bytes are others, it is not transposed. */
#include "tests/test.h"
#include "tests/codegen/gpu/mutants.h"
#include "codegen/kir/wgmma.h"

/* Each with its gradients; for a GPU of one processor, to which large tiles are best. */
static const struct {
  const char *name, *body;
  bool bf16;
} functions[] = {
    {"long rows",
     "%x = input \"x\" : f32[1,40,7,9]\n%w = input \"w\" : f32[36,40,3,3]\n%y = conv %x %w {stride=[1,1], "
     "pad=[1,1]}\n",
     false},
    {"two groups of warps",
     "%x = input \"x\" : f32[1,36,16,24]\n%w = input \"w\" : f32[104,36,1,1]\n%y = conv %x %w {stride=[1,1], "
     "pad=[0,0]}\n",
     false},
    {"bf16, strides",
     "%x = input \"x\" : f32[1,64,23,22]\n%w = input \"w\" : f32[64,64,3,3]\n%y = conv %x %w {stride=[2,2], "
     "pad=[1,1]}\n",
     true},
};
enum { FUNCTIONS = sizeof functions / sizeof *functions };

/* What misses an instruction that is taken out. */
static bool is_told(KOp op, const char *err) {
  switch (op) {
  case K_barrier:
    return strstr(err, "no barrier came after that") || strstr(err, "nothing orders the two") ||
           strstr(err, "a wgmma reads it");
  case K_wait_group: return strstr(err, "no wait_group has waited");
  case K_proxy_fence: return strstr(err, "has made no proxy_fence");
  case K_wgmma_fence: return strstr(err, "no wgmma_fence");
  default: return strstr(err, "no wgmma_wait has waited") || strstr(err, "wgmma_wait is missing");
  }
}

typedef struct {
  int products, bf16, transposed, matrices, long_rows, missed, ends;
} Counts;

static void drop(const Subject *s, Counts *c) {
  for (int v = 0; v < s->k->n; v++) {
    char err[IR_ERR] = "";
    KOp op = s->k->ins[v].op;
    if (op != K_barrier && op != K_wait_group && op != K_proxy_fence && op != K_wgmma_fence &&
        op != K_wgmma_wait)
      continue;
    bool seen = is_seen(s, altered(s->k, v, -1, 0), err);
    /* Where results take the place of stages that others may still read depends on the shape. */
    bool end = op == K_barrier && s->k->ins[v - 1].op != K_proxy_fence;
    if (!seen && !end) fail_msg("%s: nobody misses v%d = %s", s->k->name, v, kop_info[op].name);
    if (seen && !is_told(op, err))
      fail_msg("%s, without v%d = %s: %s", s->k->name, v, kop_info[op].name, err);
    c->missed += seen, c->ends += end && seen;
  }
}

/* k with another number in instruction `at`, or with `by` added to its operand. */
static KFn *spoilt(const KFn *k, int at, int64_t number, int operand, int64_t by) {
  KV *map;
  KFn *out = spoilt_begin(k, &map);
  for (int v = 0; v < k->n; v++) {
    KIns ins = spoilt_ins(k, v, map);
    if (v == at && operand >= 0) ins.in[operand] = k_add(out, ins.in[operand], k_i64(out, by));
    else if (v == at) ins.imm = number;
    map[v] = kir_append(out, &ins);
  }
  return out;
}

static void want_seen(const Subject *s, const KFn *k, int v, const char *what) {
  char err[IR_ERR] = "";
  if (!is_seen(s, k, err)) fail_msg("%s: v%d, %s, is not seen", s->k->name, v, what);
}

static void spoil_matrices(const Subject *s, Counts *c) {
  for (int v = 0; v < s->k->n; v++) {
    const KIns *i = &s->k->ins[v];
    if (i->op != K_matrix) continue;
    int64_t other = (uint64_t)i->imm >> 62 == 2 ? 3 : 2;
    want_seen(s, spoilt(s->k, v, (int64_t)((uint64_t)i->imm ^ (uint64_t)other << 62), -1, 0), v,
              "swapped otherwise");
    want_seen(s, spoilt(s->k, v, i->imm + ((int64_t)1 << 32), -1, 0), v, "eight rows further elsewhere");
    want_seen(s, spoilt(s->k, v, 0, 1, 4), v, "one piece further");
    c->matrices++, c->long_rows += (uint64_t)i->imm >> 62 == 1;
  }
}

/* Products take pieces of a row that belong together: another one is wrong. */
static void spoil_products(const Subject *s, Counts *c) {
  for (int v = 0; v < s->k->n; v++) {
    const KIns *i = &s->k->ins[v];
    if (i->op < K_wgmma_tf32 || i->op > K_wgmma_bf16_transposed) continue;
    if (i->op == K_wgmma_bf16_transposed) {
      KFn *rows = spoilt(s->k, v, i->imm, -1, 0);
      rows->ins[v].op = K_wgmma_bf16;
      want_seen(s, rows, v, "not transposed");
      c->transposed++;
    }
    int64_t step;
    const KIns *b = &s->k->ins[i->in[2]];
    bool further = b->op == K_add && k_is_const(s->k, b->in[1], &step); /* not the first: it becomes that */
    if (!further) continue;
    want_seen(s, spoilt(s->k, i->in[2], 0, 1, -step), v, "the first piece once more");
    c->products++, c->bf16 += i->op != K_wgmma_tf32;
  }
}

ARENA_TEST(defects_are_seen) {
  Machine one = machine_gpu;
  one.sms = 1;
  Counts c = {0};
  int kernels = 0;
  for (int f = 0; f < FUNCTIONS; f++) {
    Subjects list = subjects_on(&one, true, functions[f].bf16, functions[f].name, functions[f].body, true);
    for (int i = 0; i < list.n; i++) {
      const Subject *s = &list.subject[i];
      if (!kir_wgmma(s->k)) continue;
      kernels++;
      drop(s, &c);
      spoil_matrices(s, &c);
      spoil_products(s, &c);
    }
  }
  print_message(
      "%d kernels: %d waits, barriers and fences are needed (%d at the end), %d matrices, %d of long rows, "
      "%d products, %d of bf16; %d transposed\n",
      kernels, c.missed, c.ends, c.matrices, c.long_rows, c.products, c.bf16, c.transposed);
  assert_true(kernels >= 6 && c.transposed >= 4 && c.missed >= 25 && c.long_rows > 0 &&
              c.long_rows < c.matrices && c.bf16 > 0 && c.bf16 < c.products);
}

RUN_TESTS(NULL, NULL)
