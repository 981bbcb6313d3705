/* test_gpu_parts.c - convolutions on tensor cores whose summed axis is cut into parts, emulated: drawn shapes
 * against the interpreter, exactly; that parts are added in order; and kernels spoilt so that a part is lost,
 * counted twice, out of order, or begins elsewhere. */
#include "passes/fuse/fuse.h"
#include "tests/codegen/emit/one_group.h"
#include "tests/codegen/gpu/mutants.h"
#include "codegen/emit/tensor_core/tensor_core.h"

/* To cut costs nothing, so that small shapes are cut; what tile is best depends on the processors. */
static Machine machine_of(int64_t processors) {
  Machine m = machine_gpu;
  m.processors = processors, m.part_steps = 1, m.launch_cost = m.byte_cost = 0;
  return m;
}

/* ---- drawn shapes ---- */

typedef struct {
  int64_t n, c, o;
  int ns;
  int64_t s[3], k[3];
  ConvGeom geom;
  bool back, bf16;
  int form;
} Case;

/* Everything a convolution's epilogue may have: bias, activation, gate (N,1,S), residual (form 4: the operand
 * itself), several results. */
static int epilogue(Fn *f, const Case *c, int x, int y) {
  static const int64_t one[3] = {1, 1, 1};
  Type t = f->node[y].type;
  if (!c->form) return y;
  int v = ir_unary(f, OP_relu, ir_add(f, y, ir_input(f, "bias", image(1, t.dim[1], c->ns, one))));
  if (c->form == 2) v = ir_mul(f, v, ir_input(f, "gate", image(t.dim[0], 1, c->ns, t.dim + 2)));
  if (c->form >= 2) v = ir_add(f, v, c->form == 4 ? x : ir_input(f, "residual", t));
  if (c->form == 3) fn_output(f, "conv", y);
  return v;
}

static Fn *function(Arena *a, const Case *c) {
  Fn *f = one_begin(a, arena_printf(a, "%s_n%d_c%d_o%d_w%d_k%d_s%d_form%d%s", c->back ? "conv_dx" : "conv",
                                    (int)c->n, (int)c->c, (int)c->o, (int)c->s[c->ns - 1], (int)c->k[0],
                                    (int)c->geom.stride[0], c->form, c->bf16 ? "_bf16" : ""));
  int64_t out[3];
  for (int i = 0; i < c->ns; i++) out[i] = (c->s[i] + 2 * c->geom.pad[i] - c->k[i]) / c->geom.stride[i] + 1;
  int x = c->back ? ir_input(f, "dy", image(c->n, c->o, c->ns, out))
                  : ir_input(f, "x", image(c->n, c->c, c->ns, c->s));
  int w = ir_input(f, "w", image(c->o, c->c, c->ns, c->k));
  int y = c->back ? ir_conv_grad(f, OP_conv_dx, x, w, &c->geom, c->s) : ir_conv(f, x, w, &c->geom);
  fn_output(f, "y", epilogue(f, c, x, y));
  one_layout(f, w);
  one_group(f, G_CONV, y);
  if (c->bf16) run_bf16(f);
  return f;
}

static Emit *emitted(Fn *f, const Machine *m) {
  Emit *e = emit_new(f->prog->arena, f, NULL);
  e->machine = m;
  if (!emit_conv(e, group_values(f)) || e->err[0]) fail_msg("%s: %s", f->name, e->err);
  return e;
}

static const Kernel *kernel_named(const Emit *e, const char *what) {
  for (int i = 0; i < e->nkernel; i++)
    if (strstr(e->kernel[i].name, what)) return &e->kernel[i];
  return NULL;
}

static uint32_t draw(uint32_t *state, uint32_t n) {
  *state = *state * 1664525u + 1013904223u;
  return (*state >> 8) % n;
}

static Case drawn(int ns, uint32_t *state) {
  Case c = {.n = 1 + draw(state, 2), .c = 17 + draw(state, 60), .o = 17 + draw(state, 120), .ns = ns};
  for (int a = 0; a < ns; a++) {
    c.k[a] = 1 + draw(state, ns == 3 ? 3 : 4);
    c.geom.stride[a] = 1 + draw(state, ns == 3 ? 2 : 3);
    c.geom.pad[a] = draw(state, 2);
    c.s[a] = c.k[a] + draw(state, ns == 3 ? 4 : 9);
  }
  c.back = draw(state, 2), c.bf16 = draw(state, 2), c.form = (int)draw(state, 4);
  if (c.bf16) c.c += c.c % 2, c.o += c.o % 2;
  return c;
}

typedef struct {
  int cut, wide, phases, bf16, masked;
} Seen;

/* run_check takes the kernels for sm_80, then those for sm_90a. */
static void check(const Case *c, const Machine *m, Seen *seen) {
  Arena *a = arena_new();
  Fn *f = function(a, c);
  Emit *e = emitted(f, m);
  const Kernel *part = kernel_named(e, ":part"), *sum = kernel_named(e, "sum_parts:");
  if (!part != !sum) fail_msg("%s: parts without a sum, or a sum without parts", f->name);
  RunCase r = run_case(f, 0);
  run_check(&r, e);
  if (part) {
    seen->cut++, seen->wide += part->k[0]->sm90 != NULL, seen->bf16 += c->bf16;
    seen->phases += c->back && c->geom.stride[0] > 1;
    seen->masked += (c->back ? c->c : c->o) % 32 != 0;
  }
  arena_free(a);
}

static void test_drawn(int ns, int cases) {
  static const int64_t processors[] = {1000, 8, 3, 16};
  uint32_t state = 7u * (uint32_t)ns;
  Seen seen = {0};
  for (int i = 0; i < cases; i++) {
    Case c = drawn(ns, &state);
    Machine m = machine_of(processors[i % 4]);
    if (i % 2) m.tasks = 9; /* tasks of several rows */
    check(&c, &m, &seen);
  }
  print_message(
      "%d-D: of %d cases %d are cut; %d with a form for sm_90a, %d with phases, %d in bf16, %d with "
      "masked channels\n",
      ns, cases, seen.cut, seen.wide, seen.phases, seen.bf16, seen.masked);
  assert_true(seen.cut >= cases * 3 / 4 && seen.wide >= 3 && seen.phases >= 3 && seen.bf16 >= 3 &&
              seen.masked >= 3);
}

static void test_2d(void **state) {
  (void)state;
  test_drawn(2, 24);
}
static void test_3d(void **state) {
  (void)state;
  test_drawn(3, 16);
}

/* The operand is a result's residual, too. */
static void reads_its_operand_again(void **state) {
  (void)state;
  static const Case cases[] = {
      {1, 40, 40, 2, {9, 7}, {3, 3}, {{1, 1}, {1, 1}}, false, false, 4},
      {2, 34, 34, 3, {4, 3, 5}, {3, 3, 3}, {{1, 1, 1}, {1, 1, 1}}, true, true, 4},
  };
  Machine m = machine_of(8);
  Seen seen = {0};
  for (int i = 0; i < 2; i++) check(&cases[i], &m, &seen);
  assert_int_equal(seen.cut, 2);
}

/* ---- what is cut ---- */

/* Parts of products that lie within all bounds: how many there are at most. */
static int64_t planned_parts(const Machine *m, const TcProduct *product, int count, int64_t cols, bool bf16) {
  int64_t part_steps = -1, most = 1, bytes = 0;
  TcTile t = tc_tile(m, product, count, cols, bf16, &part_steps);
  assert_true(part_steps == 0 || part_steps >= m->part_steps);
  for (int i = 0; i < count && part_steps; i++) {
    int64_t steps = (product[i].depth + tc_depth(&t, bf16) - 1) / tc_depth(&t, bf16);
    int64_t parts = tc_parts(steps, part_steps);
    assert_true(parts * part_steps >= steps && (parts - 1) * part_steps < steps);
    if (parts > most) most = parts;
    bytes += 4 * parts * product[i].rows * cols;
  }
  assert_true(part_steps == 0 || most > 1);
  assert_true(most <= TC_MOST_PARTS && bytes <= m->parts_bytes);
  return most;
}

static void parts_within_bounds(void **state) {
  (void)state;
  uint32_t draws = 11;
  Machine m = machine_gpu;
  int cut = 0, phases_cut = 0;
  for (int i = 0; i < 2000; i++) {
    TcProduct product[8];
    int count = i % 3 ? 1 : 8;
    int64_t rows = 1 + draw(&draws, i % 5 ? 3000 : 300000), depth = 16 << draw(&draws, 9);
    for (int p = 0; p < count; p++) product[p] = (TcProduct){rows, depth * (count > 1 ? p : 1)};
    m.parts_bytes = i % 7 ? machine_gpu.parts_bytes : 1 << 20;
    int64_t parts = planned_parts(&m, product, count, 2 + draw(&draws, 1200), i % 2);
    cut += parts > 1, phases_cut += parts > 1 && count > 1;
  }
  print_message("of 2000 launches %d are cut, %d of those of several phases\n", cut, phases_cut);
  assert_true(cut >= 100 && cut <= 1000 && phases_cut >= 20);
  /* V-Net's deepest layer, its widest, and a 1x1 one of which a second launch would cost more than it
   * saves */
  m = machine_gpu;
  assert_true(planned_parts(&m, &(TcProduct){2 * 7 * 7 * 5, 27 * 256}, 1, 256, false) >= 8);
  assert_int_equal(planned_parts(&m, &(TcProduct){2 * 112 * 112 * 80, 27 * 16}, 1, 16, false), 1);
  assert_int_equal(planned_parts(&m, &(TcProduct){4 * 16 * 16, 512}, 1, 2, false), 1);
}

/* ---- the sum has the bits of the parts added in order ---- */

static void sums_in_order(void **state) {
  (void)state;
  static const Case c = {1, 40, 36, 2, {9, 7}, {3, 3}, {{1, 1}, {1, 1}}, false, false, 0};
  Arena *a = arena_new();
  Machine m = machine_of(16);
  Fn *f = function(a, &c);
  Emit *e = emitted(f, &m);
  RunCase rc = run_case(f, 1e-2);
  char err[256] = "";
  Run r = {.c = &rc, .e = e, .mem = arena_alloc(a, ((size_t)e->nbuffer + 1) * sizeof *r.mem)};
  for (int i = 0; i < e->nbuffer; i++) r.mem[i] = arena_alloc(a, (size_t)run_words(e, i) * 4);
  r.emulator = run_emulator(e, false, err);
  if (!r.emulator) fail_msg("%s", err);
  run_all(&r, RUN_PLAIN);
  const Launch *sum = &e->launch[e->nlaunch - 1];
  assert_int_equal(e->nlaunch, 3); /* weights, parts, sum */
  int64_t n = c.o * c.s[0] * c.s[1], parts = e->buffer[sum->arg[0]].bytes / 4 / n, turned = 0;
  assert_true(parts >= 4 && e->buffer[sum->arg[0]].bytes == 4 * n * parts);
  const float *ws = (const float *)(const void *)r.mem[sum->arg[0]],
              *y = (const float *)(const void *)r.mem[sum->arg[1]];
  for (int64_t i = 0; i < n; i++) {
    float want = ws[i], other = ws[(parts - 1) * n + i];
    for (int64_t p = 1; p < parts; p++) want += ws[p * n + i];
    for (int64_t p = parts - 2; p >= 0; p--) other += ws[p * n + i];
    if (memcmp(&want, &y[i], sizeof want)) fail_msg("element %d: %.9g, in order %.9g", (int)i, y[i], want);
    turned += want != other;
  }
  assert_true(turned > n / 8); /* another order would show */
  emulator_free(r.emulator);
  arena_free(a);
}

/* ---- mutants ---- */

/* With a gradient of x: by phases where there are strides. */
static const struct {
  const char *name, *body;
} functions[] = {
    {"convolution",
     "%x = input \"x\" : f32[1,40,7,9]\n%w = input \"w\" : f32[36,40,3,3]\n%y = conv %x %w {stride=[1,1], "
     "pad=[1,1]}\n"},
    {"convolution with strides",
     "%x = input \"x\" : f32[1,40,13,14]\n%w = input \"w\" : f32[64,40,3,3]\n%y = conv %x %w {stride=[2,2], "
     "pad=[1,1]}\n"},
};
enum { FUNCTIONS = sizeof functions / sizeof *functions };

typedef enum { LOST, TWICE, SWAPPED, BEGINS, STORED, KINDS } Kind;
static const char *const kind_name[KINDS] = {"a part is lost", "a part is added twice",
                                             "parts are out of order", "a part begins or ends elsewhere",
                                             "a part is stored elsewhere"};

static bool is_sum(const Subject *s) { return strstr(s->k->name, "sum_parts:n1_ic") != NULL; }
static bool is_part(const Subject *s) { return strstr(s->k->name, ":part") != NULL && !is_sum(s); }

/* A part that is fetched, as an operand of the chain of additions. */
static bool is_fetched(const KFn *k, KV v) {
  const KIns *i = &k->ins[v];
  return (i->op == K_load || i->op == K_load_masked) && i->type.vec && i->in[0] == 0;
}
static bool adds_part(const KFn *k, const KIns *i) {
  return i->op == K_add && i->type.vec && i->type.base == K_F32 && is_fetched(k, i->in[1]);
}

static bool applies(const Subject *s, int v, Kind kind) {
  const KIns *i = &s->k->ins[v];
  int64_t c;
  switch (kind) {
  case LOST:
  case TWICE: return is_sum(s) && adds_part(s->k, i);
  case SWAPPED: return is_sum(s) && adds_part(s->k, i) && !is_fetched(s->k, i->in[0]);
  case BEGINS: /* part * steps / parts */
    return is_part(s) && i->op == K_div && k_is_const(s->k, i->in[1], &c) && s->k->ins[i->in[0]].op == K_mul;
  default: return is_part(s) && (i->op == K_store || i->op == K_store_masked) && i->in[0] < s->k->nargs;
  }
}

static KFn *spoilt(const KFn *k, int at, Kind kind, int64_t by) {
  KV *map;
  KFn *out = spoilt_begin(k, &map);
  for (int v = 0; v < k->n; v++) {
    KIns ins = spoilt_ins(k, v, map);
    if (v == at && kind == LOST) {
      map[v] = ins.in[0];
      continue;
    }
    if (v == at && kind == SWAPPED) { /* (a + b) + c becomes (a + c) + b */
      const KIns *before = &k->ins[k->ins[v].in[0]];
      KV first = k_add(out, map[before->in[0]], ins.in[1]);
      map[v] = k_add(out, first, map[before->in[1]]);
      continue;
    }
    if (v == at && kind == STORED) ins.in[1] = k_add(out, ins.in[1], k_i64(out, by));
    map[v] = kir_append(out, &ins);
    if (v == at && kind == TWICE) map[v] = k_add(out, map[v], ins.in[1]);
    if (v == at && kind == BEGINS) map[v] = k_add(out, map[v], k_i64(out, by));
  }
  return out;
}

static void spoil(const Subject *s, int of[KINDS]) {
  for (int kind = 0; kind < KINDS; kind++)
    for (int v = 0; v < s->k->n; v++) {
      char err[512] = "";
      if (!applies(s, v, (Kind)kind)) continue;
      if (!is_seen(s, spoilt(s->k, v, (Kind)kind, kind == STORED ? 36 : 1), err))
        fail_msg("%s, v%d: not seen that %s", s->k->name, v, kind_name[kind]);
      of[kind]++;
    }
}

static void defects_are_seen(void **state) {
  (void)state;
  int of[KINDS] = {0}, wide = 0;
  for (int i = 0; i < FUNCTIONS * 2; i++) {
    Machine m = machine_of(5);
    m.part_steps = 3;
    bool newest = i % 2;
    Subjects list = subjects_on(&m, newest, false, functions[i / 2].name, functions[i / 2].body, true);
    for (int j = 0; j < list.n; j++) {
      wide += is_part(&list.subject[j]) && kir_wgmma(list.subject[j].k);
      if (!newest || is_part(&list.subject[j])) spoil(&list.subject[j], of);
    }
  }
  for (int kind = 0; kind < KINDS; kind++) {
    print_message("%s: all %d are seen\n", kind_name[kind], of[kind]);
    assert_true(of[kind] >= 4);
  }
  assert_true(wide >= 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_2d),
                                     cmocka_unit_test(test_3d),
                                     cmocka_unit_test(reads_its_operand_again),
                                     cmocka_unit_test(parts_within_bounds),
                                     cmocka_unit_test(sums_in_order),
                                     cmocka_unit_test_setup_teardown(defects_are_seen, set_up, tear_down)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
