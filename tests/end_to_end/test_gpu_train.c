/* test_gpu_train.c - whole iterations on an emulated GPU, in one arena as the GPU's memory plan lays it out,
 * have the losses of the host's kernels. */
#include "tests/test.h"
#include "tests/end_to_end/gpu_models.h"
#include "codegen/isa.h"

/* A program for one machine, with an arena of its own. */
typedef struct {
  Module m;
  FnPlan plan;
  char *arena;
  Jit *jit;
  Emulator *emulator;
} Side;

static Side side(Arena *a, Program *p, const Machine *machine) {
  char err[IR_ERR] = "";
  Side s = {.m = {.arena = a, .prog = p, .machine = machine}};
  Emit *e = emit_fn_on(machine, a, p->fn[0], NULL, err);
  s.plan = (FnPlan){.fn = p->fn[0], .e = e};
  module_place_vars(&s.m);
  if (!e || !plan_fn(&s.m, &s.plan, err)) fail_msg("%s", err);
  size_t bytes = (size_t)(s.m.var_bytes + s.plan.temporaries);
  s.arena = aligned_alloc(64, (bytes + 63) / 64 * 64);
  assert_non_null(s.arena);
  static const uint32_t nan = RUN_NAN;
  for (size_t i = 0; i + 4 <= bytes; i += 4) memcpy(s.arena + i, &nan, 4);
  int isa = machine->simt ? 0 : netc_host_isa();
  const KFn **k = arena_alloc(a, ((size_t)e->nkernel + 1) * sizeof *k);
  ShareMode *mode = arena_alloc(a, ((size_t)e->nkernel + 1) * sizeof *mode);
  for (int i = 0; i < e->nkernel; i++) {
    k[i] = run_kernel(e, i, isa);
    mode[i] = share_mode(e->kernel[i].flops, e->kernel[i].bytes);
  }
  if (machine->simt) s.emulator = emulator_shared(k, mode, e->nkernel, err); /* as the module does */
  else s.jit = jit_new(k, e->nkernel, (NetcIsa)isa, err);
  if (!s.emulator && !s.jit) fail_msg("%s", err);
  return s;
}

static void side_free(Side *s) {
  emulator_free(s->emulator);
  jit_free(s->jit);
  free(s->arena);
}

static void put(const Side *s, int64_t offset, Type t, const uint8_t *order, const double *v) {
  Node n = {.type = t};
  memcpy(n.order, order, (size_t)t.rank);
  for (int64_t i = 0; i < type_count(t); i++)
    run_set(&t, (uint32_t *)(void *)(s->arena + offset), run_memory_index(&n, i), v[i]);
}

/* As the runtime begins, with other random numbers. */
static double initial(const Program *p, const Var *v, int64_t i) {
  if (v->init.kind == INIT_COPY) return initial(p, &p->var[prog_find_var(p, v->init.from)], i);
  double r = run_fill_real(v->name, i, v->type);
  if (v->init.kind == INIT_UNIFORM) return v->init.a + (v->init.b - v->init.a) * (r + 1) / 2;
  return v->init.kind == INIT_NORMAL ? v->init.a + v->init.b * 1.7 * r : v->init.a;
}

static void start(const Side *s, const Program *p) {
  for (int i = 0; i < p->nvar; i++) {
    const Var *v = &p->var[i];
    double *d = calloc((size_t)type_count(v->type), sizeof *d);
    for (int64_t k = 0; k < type_count(v->type); k++) d[k] = initial(p, v, k);
    put(s, s->m.var_offset[i], v->type, v->order, d);
    free(d);
  }
}

static void feed(const Side *s, const Input *in, int iteration) {
  double *d = calloc((size_t)type_count(in->type), sizeof *d);
  for (int64_t i = 0; i < type_count(in->type); i++)
    d[i] = fill_state(in->name, i + 1000 * iteration, in->type);
  if (!strcmp(in->name, "iteration")) *d = iteration;
  put(s, s->plan.offset[in->buffer], in->type, in->order, d);
  free(d);
}

static void launch_on(const Side *s, const Launch *l, const NetcStep *step) {
  char err[IR_ERR] = "";
  EmuBuffer buffer[NETC_MAX_ARGS];
  void *args[NETC_MAX_ARGS];
  for (int i = 0; i < l->nargs; i++) {
    args[i] = s->arena + s->plan.offset[l->arg[i]];
    buffer[i] = (EmuBuffer){args[i], s->plan.e->buffer[l->arg[i]].bytes};
  }
  for (int64_t t = 0; s->jit && t < l->tasks; t++) jit_get(s->jit, l->kernel)(args, step, t);
  if (s->emulator && !emulator_launch(s->emulator, l->kernel, buffer, l->tasks, step, step->iteration, err))
    fail_msg("%s", err);
}

static void iterate(const Side *s, int iteration) {
  NetcStep step = {7, (uint64_t)iteration};
  for (int i = 0; i < s->plan.ninput; i++) feed(s, &s->plan.input[i], iteration);
  for (int l = 0; l < s->plan.e->nlaunch; l++) launch_on(s, &s->plan.e->launch[l], &step);
}

/* A number the function logs. */
static double logged(const Side *s, int output) {
  const Type t = type_scalar();
  return run_get(&t, (const uint32_t *)(const void *)(s->arena + s->plan.offset[s->plan.output[output]]), 0);
}

/* Three iterations of a model: what it logs, by the host's kernels and by the GPU's. Returns how many
 * launches add parts of convolutions. */
static int train_both(const char *path, const Define *d, int nd, const Machine *gpu_machine,
                      double tolerance) {
  enum { ITERATIONS = 3 };
  Arena *a = arena_new();
  Program *p = compile_model(a, path, d, nd);
  double most = 0;
  int sums = 0;
  Side s[2] = {side(a, p, &machine_host), side(a, p, gpu_machine)};
  const Emit *e = s[1].plan.e;
  for (int l = 0; l < e->nlaunch; l++) {
    const char *name = e->kernel[e->launch[l].kernel].name;
    sums += !strncmp(name, "sum_parts:", 10) && strstr(name, ":parts"); /* conv_dw's has no such end */
  }
  for (int k = 0; k < 2; k++) start(&s[k], p);
  for (int it = 0; it < ITERATIONS; it++) {
    for (int k = 0; k < 2; k++) iterate(&s[k], it);
    assert_true(p->fn[0]->nout >= 1);
    for (int o = 0; o < p->fn[0]->nout; o++) {
      double host = logged(&s[0], o), gpu = logged(&s[1], o);
      most = fmax(most, fabs(host - gpu) / (1 + fabs(host)));
      if (!(fabs(host - gpu) <= tolerance * (1 + fabs(host))))
        fail_msg("iteration %d: %s is %.9g on the GPU, %.9g on the host", it, p->fn[0]->out[o].name, gpu,
                 host);
    }
  }
  print_message("%s: %d losses differ by %.1e at most; %d launches add parts\n", path, p->fn[0]->nout, most,
                sums);
  side_free(&s[0]), side_free(&s[1]);
  arena_free(a);
  return sums;
}

static void train_acts(const char *tf32, double tolerance) {
  const Define d[] = {
      {"batch", "1"}, {"size", "[32,32]"}, {"widths", "[8,16]"}, {"disc_width", "8"}, {"tf32", tf32}};
  train_both("models/asenet.net", d, 5, &machine_gpu, tolerance);
}

TEST(acts_trains_alike) { train_acts("off", 1e-4); }

/* Operands of 11 bits, each off by 2^-12 at most; what an iteration adds, the next one starts from. */
TEST(acts_trains_in_tf32) { train_acts("on", 3e-3); }

/* Where cutting costs nothing most convolutions' sums are cut into parts, whose workspace lies in the arena
 * until they are added. */
TEST(unet_trains_in_parts) {
  Machine cut = machine_gpu;
  cut.sms = 16, cut.part_steps = 2, cut.launch_cost = cut.byte_cost = 0;
  const Define d[] = {{"batch", "2"}, {"size", "[16,16]"}, {"widths", "[16,36]"}};
  assert_true(train_both("models/unet.net", d, 3, &cut, 3e-3) >= 10);
}

RUN_TESTS(NULL, NULL)
