/* test_storage.c - values that lie inside of others (passes/memory/storage.h): random graphs full of
 * concatenations and slices, with the gradient of a loss, placed in an arena and run beside the interpreter;
 * and what is to move nothing. */
#include "passes/passes.h"
#include "passes/memory/storage.h"
#include "tests/codegen/module/run_plan.h"
#include "tests/ir/gen.h"

enum { GRAPHS = 24, MOST = 24 };

typedef struct {
  Gen g;
  int n, value[MOST];
  int64_t weights; /* convolutions so far */
} Pile;

static Type type_of(const Pile *p, int x) { return p->g.f->node[x].type; }

static int any(Pile *p) { return p->value[gen_int(&p->g, p->n)]; }

/* Two values alike but for one axis, cut from larger ones where there are none. */
static int join(Pile *p) {
  Fn *f = p->g.f;
  int x[3] = {any(p)}, n = 1, axis = gen_int(&p->g, 3) ? 1 : gen_int(&p->g, type_of(p, x[0]).rank);
  for (int tries = 0; tries < 12 && n < 3; tries++) {
    Type a = type_of(p, x[0]), b = type_of(p, p->value[tries % p->n]);
    if (a.rank != b.rank) continue;
    b.dim[axis] = a.dim[axis];
    if (shape_eq(a, b) && gen_int(&p->g, 2)) x[n++] = p->value[tries % p->n];
  }
  if (n == 1) x[n++] = ir_unary(f, OP_relu, x[0]);
  if (type_of(p, x[0]).dim[axis] > 64) return x[1];
  return ir_concat(f, n, x, axis);
}

static int cut(Pile *p) {
  int x = any(p), axis = gen_int(&p->g, 3) ? 1 : gen_int(&p->g, type_of(p, x).rank);
  int64_t d = type_of(p, x).dim[axis], lo = gen_int(&p->g, (int)(d + 1) / 2), hi = lo + (d + 1) / 2;
  return ir_slice(p->g.f, x, axis, lo, hi < d ? hi : d);
}

static int filter(Pile *p, int ns) {
  Fn *f = p->g.f;
  int x = any(p);
  Type t = type_of(p, x), w = {F32, t.rank, {8 + 8 * gen_int(&p->g, 2), t.dim[1]}};
  ConvGeom geom = geom_unit;
  bool wide = gen_int(&p->g, 2);
  for (int a = 0; a < ns; a++) w.dim[2 + a] = wide ? 3 : 1, geom.pad[a] = wide;
  const char *name = arena_printf(f->prog->arena, "w%d", (int)p->weights++);
  return ir_conv(f, x, ir_scale(f, ir_input(f, name, w), 0.1), &geom);
}

static int pool(Pile *p, int ns) {
  Fn *f = p->g.f;
  int x = any(p);
  int64_t two[3] = {2, 2, 2};
  bool small = type_count(type_of(p, x)) <= 4096, even = true;
  for (int a = 0; a < ns; a++) even = even && type_of(p, x).dim[2 + a] % 2 == 0;
  if (small && gen_int(&p->g, 2)) return ir_upsample(f, x, two);
  if (!even) return ir_pad(f, x, gen_int(&p->g, 2) ? 1 : 2, 1, gen_int(&p->g, 2));
  return gen_int(&p->g, 2) ? ir_maxpool(f, x, two, &(ConvGeom){.stride = {2, 2, 2}})
                           : ir_scale(f, ir_sumpool(f, x, two), 0.25);
}

static int step(Pile *p, int ns) {
  Fn *f = p->g.f;
  switch (gen_int(&p->g, 8)) {
  case 0:
  case 1:
  case 2: return join(p);
  case 3: return cut(p);
  case 4: return filter(p, ns);
  case 5: return pool(p, ns);
  case 6: return ir_unary(f, OP_relu, any(p));
  default: {
    int x = any(p), mean = ir_mean(f, x, all_axes(type_of(p, x)) & ~2u);
    return ir_mul(f, ir_sub(f, x, mean), ir_const(f, 1.5));
  }
  }
}

static Fn *random_graph(Arena *a, Program *prog, int seed) {
  Pile p = {.g = gen_new(prog, 9000 + (uint64_t)seed, 0)};
  int ns = p.g.nsp = 2 + seed % 2;
  Fn *f = p.g.f = fn_new(prog, arena_printf(a, "views %d", seed), FN_FORWARD);
  int64_t s[3] = {4, 6, 2};
  for (int i = 0; i < 2; i++)
    p.value[p.n++] = ir_unary(f, OP_tanh, gen_input(&p.g, gen_shape(&p.g, 2, i ? 8 : 12, s)));
  while (p.n < MOST - 4) p.value[p.n++] = step(&p, ns);
  int loss = ir_const(f, 0);
  for (int i = 0; i < p.n; i++) {
    if (i + 4 < p.n && gen_int(&p.g, 3)) continue;
    int square = ir_mul(f, p.value[i], p.value[i]),
        mean = ir_mean(f, square, all_axes(type_of(&p, p.value[i])));
    loss = ir_add(f, loss, ir_reshape(f, mean, type_scalar()));
    if (!gen_int(&p.g, 8)) fn_output(f, arena_printf(a, "value%d", i), p.value[i]);
  }
  fn_output(f, "loss", loss);
  for (int i = 0, n = f->n; i < n; i++)
    if (f->node[i].op == OP_input)
      fn_output(f, arena_printf(a, "d%s", f->node[i].at.sym), ir_grad(f, loss, i));
  return f;
}

/* Values with an owner they do not view by a reshape. */
static int count_views(const Fn *f) {
  const Storage *s = storage_of_values(f);
  int n = 0;
  for (int i = 0; i < f->n; i++) n += s[i].owner != value_source(f, i);
  return n;
}

static void test_random(void **state) {
  (void)state;
  int views = 0;
  for (int seed = 0; seed < GRAPHS; seed++) {
    Arena *a = arena_new();
    Program *p = prog_new(a);
    Fn *f = random_graph(a, p, seed);
    if (f->err[0]) fail_msg("%s: %s", f->name, f->err);
    plan_run_check(p, f->name, 5e-5, 1);
    views += count_views(p->fn[0]);
    arena_free(a);
  }
  print_message("%d views\n", views);
  assert_true(views > 3 * GRAPHS);
}

/* ---- what moves ---- */

/* The movement kernels that are left of a function, by name up to the colon: "upsample maxpool". */
static const char *movement(Arena *a, const char *body) {
  char err[512] = "";
  const char *list = "";
  Program *p = ir_parse(a, arena_printf(a, "program \"t\"\nfn forward \"f\" {\n%s}\n", body), err);
  if (!p || !passes_run(p, &(PassOptions){.verify = true}, err)) fail_msg("%s", err);
  Emit *e = emit_fn(a, p->fn[0], NULL, err);
  if (!e) fail_msg("%s", err);
  for (int i = 0; i < e->nlaunch; i++) {
    const Kernel *k = &e->kernel[e->launch[i].kernel];
    if (!strcmp(k->op, "move"))
      list = arena_printf(a, "%s%s%.*s", list, *list ? " " : "", (int)strcspn(k->name, ":"), k->name);
  }
  return list;
}

static void check_movement(const char *body, const char *want) {
  Arena *a = arena_new();
  assert_string_equal(movement(a, body), want);
  arena_free(a);
}

#define DECODER                                                                                              \
  "%0 = input \"x\" : f32[2,16,4,4]\n"                                                                       \
  "%1 = input \"s\" : f32[2,8,8,8]\n"                                                                        \
  "%2 = input \"w\" : f32[8,24,3,3]\n"                                                                       \
  "%3 = relu %1 : f32[2,8,8,8]\n"                                                                            \
  "%4 = upsample %0 {stride=[2,2]} : f32[2,16,8,8]\n"                                                        \
  "%5 = concat %4 %3 {axis=1} : f32[2,24,8,8]\n"                                                             \
  "%6 = conv %5 %2 {stride=[1,1], pad=[1,1]} : f32[2,8,8,8]\n"                                               \
  "output \"y\" = %6\n"

/* Both operands are written where the concatenation lies; the pool of the skip reads it there. */
static void test_decoder(void **state) {
  (void)state;
  check_movement(DECODER, "upsample");
  check_movement(DECODER "%7 = maxpool %3 {size=[2,2], stride=[2,2], pad=[0,0]} : f32[2,8,4,4]\n"
                         "output \"pooled\" = %7\n",
                 "upsample maxpool");
}

/* A convolution reads rows and channels as one axis, and an output is dense: these stay apart and are
 * copied. */
static void test_kept_apart(void **state) {
  (void)state;
  check_movement(DECODER "%7 = input \"v\" : f32[4,8,3,3]\n"
                         "%8 = conv %3 %7 {stride=[1,1], pad=[1,1]} : f32[2,4,8,8]\n"
                         "output \"z\" = %8\n",
                 "upsample concat");
  check_movement(DECODER "output \"skip\" = %3\n", "upsample concat");
}

/* Slices that elementwise code and pools read stay where they are; one for a convolution is copied. */
static void test_slices(void **state) {
  (void)state;
  check_movement("%0 = input \"x\" : f32[2,24,8,8]\n"
                 "%1 = slice %0 {axis=1, lo=0, hi=8} : f32[2,8,8,8]\n"
                 "%2 = slice %0 {axis=1, lo=8, hi=24} : f32[2,16,8,8]\n"
                 "%3 = relu %1 : f32[2,8,8,8]\n"
                 "%4 = sumpool %2 {stride=[2,2]} : f32[2,16,4,4]\n"
                 "output \"y\" = %3\n"
                 "output \"z\" = %4\n",
                 "sumpool");
  check_movement("%0 = input \"x\" : f32[2,24,8,8]\n"
                 "%1 = input \"w\" : f32[4,8,3,3]\n"
                 "%2 = slice %0 {axis=1, lo=0, hi=8} : f32[2,8,8,8]\n"
                 "%3 = conv %2 %1 {stride=[1,1], pad=[1,1]} : f32[2,4,8,8]\n"
                 "output \"y\" = %3\n",
                 "slice");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_random), cmocka_unit_test(test_decoder),
                                     cmocka_unit_test(test_kept_apart), cmocka_unit_test(test_slices)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
