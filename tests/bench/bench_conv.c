/* bench_conv.c - speed of the convolution kernels on one core: bench_conv [0|1|2|host [LAYER [DIRECTION
 * [bf16|cold|beside]]]] (-1: all), or bench_conv layers: how many there are. bf16: images are bf16 in memory,
 * and what contracts them rounds its operands, as under precision=bf16. cold: before every round other memory
 * is written, as much as two third-level caches hold, so that operands come from memory, as those of a large
 * network do. beside: so too, and to convolutions two tensors like the result are added. For every layer of
 * the table and every direction: milliseconds, GFLOP/s, and the fraction of the multiply-add rate that this
 * core reaches in registers; first of the direct kernels, then ("auto") of what netc chooses, where that is
 * something else. A launch's time is the sum over its tasks of the least time each took in several rounds:
 * other work on the machine, which comes and goes, then falls out. Without cold, so does what a cache
 * happened to keep. */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "passes/fuse/fuse.h"
#include "passes/passes.h"
#include "codegen/emit/core/emit.h"
#include "codegen/llvm/lower.h"
#include "ir/bf16.h"
#include "tests/bench/layers.h"

/* dybac_w: bwd_w of a 1x1 layer whose input is recomputed from a gated depthwise 3x3. dybac: forward of the same.
 * dw, dw_x, dw_w: that depthwise convolution alone, its adjoint in x, and in the kernels. */
enum { FWD, BWD_D, BWD_W, DYBAC_W, DYBAC, DW, DW_X, DW_W, DIRECTIONS };
static const struct {
  const char *name;
  int group;
  bool (*emit)(Emit *, const GroupInfo *);
} direction[] = {{"fwd", G_CONV, emit_conv},
                 {"bwd_d", G_CONV, emit_conv},
                 {"bwd_w", G_WGRAD, emit_wgrad},
                 {"dybac_w", G_WGRAD, emit_wgrad},
                 {"dybac", G_DYBAC, emit_dybac},
                 {"dw", G_DEPTHWISE, emit_depthwise},
                 {"dw_x", G_DEPTHWISE, emit_depthwise},
                 {"dw_w", G_DEPTHWISE_WGRAD, emit_depthwise_wgrad}};

/* Processor time: others may be using the machine. */
static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static Type image(const Layer *l, int64_t n, int64_t c, const int64_t *size) {
  Type t = {.dt = F32, .rank = l->ns + 2, .dim = {n, c}};
  for (int i = 0; i < l->ns; i++) t.dim[2 + i] = size[i];
  return t;
}

/* The depthwise convolution of x, or one of its adjoints. */
static int depthwise(Fn *f, const Layer *l, int dir, int x) {
  int64_t k[MAX_SPATIAL] = {3, 3, 3};
  ConvGeom same = {{1, 1, 1}, {1, 1, 1}};
  Type kernel = image(l, l->n, l->c, k);
  if (dir == DW_X) return ir_conv_grad(f, OP_dwconv_dx, x, ir_input(f, "kernel", kernel), &same, l->size);
  x = ir_mul(f, x, ir_input(f, "gate", image(l, l->n, 1, l->size)));
  if (dir == DW_W)
    return ir_conv_grad(f, OP_dwconv_dw, x, ir_input(f, "dy", image(l, l->n, l->c, l->size)), &same, k);
  return ir_dwconv(f, x, ir_input(f, "kernel", kernel), &same);
}

typedef struct {
  bool winograd, bf16, cold, beside;
} Mode;

/* The convolution of layer l, its operands, its result; *weights: whichever of them is weights. */
static int convolution(Fn *f, const Layer *l, int dir, int *weights) {
  bool to_weights = direction[dir].group == G_WGRAD;
  int64_t k[MAX_SPATIAL], out[MAX_SPATIAL];
  ConvGeom geom = {0};
  for (int i = 0; i < l->ns; i++) {
    k[i] = l->k, geom.stride[i] = l->stride, geom.pad[i] = l->pad;
    out[i] = (l->size[i] + 2 * l->pad - l->k) / l->stride + 1;
  }
  int x = ir_input(f, dir == BWD_D ? "dy" : "x",
                   dir == BWD_D ? image(l, l->n, l->o, out) : image(l, l->n, l->c, l->size));
  int w =
      ir_input(f, to_weights ? "dy" : "w", to_weights ? image(l, l->n, l->o, out) : image(l, l->o, l->c, k));
  if (dir == DYBAC_W || dir == DYBAC) x = depthwise(f, l, dir, x);
  int y = to_weights     ? ir_conv_grad(f, OP_conv_dw, x, w, &geom, k)
          : dir == BWD_D ? ir_conv_grad(f, OP_conv_dx, x, w, &geom, l->size)
                         : ir_conv(f, x, w, &geom);
  *weights = to_weights ? y : w;
  return y;
}

/* The function of one layer and direction, as pass fuse would leave it. */
static Fn *build(Arena *a, const Layer *l, int dir, Mode mode) {
  Fn *f = fn_new(prog_new(a), "bench", FN_FORWARD);
  f->prog->winograd = mode.winograd;
  int weights = -1, y = dir < DW ? convolution(f, l, dir, &weights)
                                 : depthwise(f, l, dir, ir_input(f, "x", image(l, l->n, l->c, l->size)));
  int out = y;
  if (mode.beside && direction[dir].group == G_CONV)
    for (int i = 0; i < 2; i++) out = ir_add(f, out, ir_input(f, i ? "b" : "a", f->node[y].type));
  fn_output(f, "y", out);
  for (int i = 0; i < f->n; i++) {
    if (i == weights) order_weights(f->node[i].order, f->node[i].type.rank);
    else order_channels_last(f->node[i].order, f->node[i].type.rank);
    f->node[i].group = op_info[f->node[i].op].cls == LEAF ? -1 : 0;
  }
  *ARENA_PUSH(a, f->group, f->ngroup, f->capgroup) = (Group){direction[dir].group, y};
  bool *bf16 = arena_alloc(a, (size_t)f->n);
  for (int i = 0; i < f->n; i++)
    bf16[i] = mode.bf16 && (f->node[i].op == OP_input || i == y) && i != weights &&
              f->node[i].type.dim[1] > 8 &&
              strcmp(f->node[i].op == OP_input ? f->node[i].at.sym : "", "kernel");
  precision_set(f, bf16);
  return f;
}

static Jit *compile(const Emit *e, int isa) {
  const KFn *k[8];
  char err[256];
  for (int i = 0; i < e->nkernel; i++)
    if (!(k[i] = e->kernel[i].k[isa])) k[i] = e->kernel[i].k[NETC_ISA_AVX512];
  Jit *j = jit_new(k, e->nkernel, (NetcIsa)isa, err);
  if (!j) fprintf(stderr, "%s\n", err), exit(1);
  return j;
}

/* Runs the tasks of a launch; best[t]: the least time of task t so far. */
static void run_launch(Jit *j, const Launch *l, float **mem, double *best) {
  void *args[NETC_MAX_ARGS];
  NetcStep step = {0, 0};
  for (int i = 0; i < l->nargs; i++) args[i] = mem[l->arg[i]];
  NetcKernelFn fn = jit_get(j, l->kernel);
  for (int64_t t = 0; t < l->tasks; t++) {
    double start = now();
    fn(args, &step, t);
    start = now() - start;
    if (start < best[t]) best[t] = start;
  }
}

static double *no_times(Arena *a, int64_t n) {
  double *t = arena_alloc(a, (size_t)n * sizeof *t);
  for (int64_t i = 0; i < n; i++) t[i] = 1e30;
  return t;
}

/* Multiply-adds per second of this core times two: chains of fma in registers. */
static double peak(Arena *a, int isa) {
  enum { CHAINS = 12, STEPS = 1 << 20 };
  KFn *k = k_new(a, "peak", isa == NETC_ISA_AVX2 ? 8 : 16);
  KV y = k_arg(k, K_F32, "y"), acc[CHAINS], m = k_load(k, y, k_i64(k, 0), true);
  for (int i = 0; i < CHAINS; i++) acc[i] = k_local(k, K_F32, true, "acc"), k_set(k, acc[i], m);
  k_for(k, k_i64(k, 0), k_i64(k, STEPS), 1);
  for (int i = 0; i < CHAINS; i++) k_set(k, acc[i], k_fma(k, m, m, k_get(k, acc[i])));
  k_end(k);
  for (int i = 0; i < CHAINS; i++) k_store(k, y, k_i64(k, i * k->lanes), k_get(k, acc[i]));
  Emit e = {.nkernel = 1, .kernel = &(Kernel){.k = {[0] = k, [1] = k}}};
  Jit *j = compile(&e, isa);
  float *mem[1] = {aligned_alloc(64, 4096)};
  Launch l = {.tasks = 1, .nargs = 1};
  double best = 1e30;
  memset(mem[0], 0, 4096);
  for (int i = 0; i < 20; i++) run_launch(j, &l, mem, &best);
  free(mem[0]);
  jit_free(j);
  return 2.0 * CHAINS * STEPS * k->lanes / best;
}

/* Numbers as the buffer holds them. */
static void fill(const Emit *e, int buffer, float *mem) {
  int node = e->buffer[buffer].node;
  if (node >= 0 && e->fn->node[node].type.dt == BF16)
    for (int64_t x = 0; x < e->buffer[buffer].bytes / 2; x++)
      ((uint16_t *)(void *)mem)[x] = bf16_bits((float)(x % 17) * 0.01f);
  else
    for (int64_t x = 0; x < e->buffer[buffer].bytes / 4; x++) mem[x] = (float)(x % 17) * 0.01f;
}

/* Fills the caches with other things. */
static void cool(void) {
  enum { BYTES = 64 << 20 };
  static volatile char *other;
  if (!other) other = malloc(BYTES);
  for (int i = 0; other && i < BYTES; i += 64) other[i]++;
}

static Emit *emitted(Arena *a, const Layer *l, int dir, Mode mode) {
  Fn *f = build(a, l, dir, mode);
  Emit *e = emit_new(a, f, NULL);
  const GroupInfo *g = group_values(f);
  if (!f->err[0] && direction[dir].emit(e, g)) return e;
  fprintf(stderr, "%s %s: %s\n", l->name, direction[dir].name, f->err[0] ? f->err : e->err);
  exit(1);
}

/* Does netc choose other kernels than the direct ones? */
static bool has_choice(const Layer *l, int dir, Mode mode) {
  Arena *a = arena_new();
  const Emit *direct = emitted(a, l, dir, mode), *chosen = NULL;
  mode.winograd = true;
  chosen = emitted(a, l, dir, mode);
  bool same = direct->nkernel == chosen->nkernel;
  for (int i = 0; same && i < direct->nkernel; i++)
    same = direct->kernel[i].hash[0] == chosen->kernel[i].hash[0];
  arena_free(a);
  return !same;
}

static void measure(const Layer *l, int dir, int isa, double top, Mode mode) {
  Arena *a = arena_new();
  Emit *e = emitted(a, l, dir, mode);
  double t0 = now(), *best[8], time[8], total = 0, flops = 0;
  Jit *j = compile(e, isa);
  t0 = now() - t0;
  float *mem[16];
  for (int i = 0; i < e->nbuffer; i++) {
    int64_t n = e->buffer[i].bytes / 4;
    mem[i] = aligned_alloc(64, (size_t)(n * 4 + 63) / 64 * 64);
    fill(e, i, mem[i]);
  }
  for (int i = 0; i < e->nlaunch; i++) best[i] = no_times(a, e->launch[i].tasks);
  for (double start = now(), rounds = 0; rounds < 3 || now() - start < 0.5; rounds++) {
    if (mode.cold) cool();
    for (int i = 0; i < e->nlaunch; i++) run_launch(j, &e->launch[i], mem, best[i]);
  }
  for (int i = 0; i < e->nlaunch; i++) {
    time[i] = 0;
    for (int64_t t = 0; t < e->launch[i].tasks; t++) time[i] += best[i][t];
    total += time[i], flops += (double)e->kernel[e->launch[i].kernel].work;
  }
  printf("%-26s %-6s%-6s %8.2f ms %7.1f GFLOP/s %4.0f %%  compile %4.0f ms, launches", l->name,
         direction[dir].name, mode.winograd ? "auto" : "", total * 1e3, flops / total * 1e-9,
         100 * flops / total / top, t0 * 1e3);
  for (int i = 0; i < e->nlaunch; i++)
    printf(" %s %.2f/%ld", e->kernel[e->launch[i].kernel].op, time[i] * 1e3, (long)e->launch[i].tasks);
  printf("\n");
  fflush(stdout);
  for (int i = 0; i < e->nbuffer; i++) free(mem[i]);
  jit_free(j);
  arena_free(a);
}

int main(int argc, char **argv) {
  if (argc > 1 && !strcmp(argv[1], "layers")) return printf("%d\n", LAYERS), 0;
  int isa = argc > 1 && strcmp(argv[1], "host") ? atoi(argv[1]) : lower_host_isa(),
      only = argc > 2 ? atoi(argv[2]) : -1, way = argc > 3 ? atoi(argv[3]) : -1;
  bool beside = argc > 4 && !strcmp(argv[4], "beside");
  Mode mode = {.beside = beside,
               .bf16 = argc > 4 && !strcmp(argv[4], "bf16"),
               .cold = beside || (argc > 4 && !strcmp(argv[4], "cold"))};
  if (isa < 0 || isa > lower_host_isa()) return fprintf(stderr, "this machine does not run set %d\n", isa), 1;
  Arena *a = arena_new();
  double top = peak(a, isa);
  arena_free(a);
  printf("set %d: %.1f GFLOP/s of multiply-adds in registers\n", isa, top * 1e-9);
  for (int i = 0; i < LAYERS; i++)
    for (int dir = 0; dir < DIRECTIONS; dir++)
      if ((only < 0 || only == i) && (way < 0 || way == dir) && (dir < DYBAC_W || layer[i].k == 1)) {
        measure(&layer[i], dir, isa, top, mode);
        if (has_choice(&layer[i], dir, mode))
          measure(&layer[i], dir, isa, top,
                  (Mode){.bf16 = mode.bf16, .winograd = true, .cold = mode.cold, .beside = mode.beside});
      }
  return 0;
}
