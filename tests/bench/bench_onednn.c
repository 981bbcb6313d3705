/* bench_onednn.c - speed of oneDNN's convolution primitives on one core, beside bench_conv: bench_onednn
 * [LAYER | version]. The layouts are the ones oneDNN chooses (format `any`): reorders are not counted, the
 * weights of training are not constant either. Built where CMake finds dnnl 2; nothing else depends on it. */
#include <dnnl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "tests/bench/layers.h"

enum { FWD, BWD_D, BWD_W, DIRECTIONS };
static const char *const direction[] = {"fwd", "bwd_d", "bwd_w"};

/* Processor time: others may be using the machine. */
static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void need(dnnl_status_t s, const char *what) {
  if (s != dnnl_success) fprintf(stderr, "oneDNN: %s: status %d\n", what, s), exit(1);
}

/* Operands of the convolution of a layer; the descriptors leave the layout to oneDNN. */
typedef struct {
  dnnl_memory_desc_t x, w, y;
  dnnl_dims_t stride, pad;
} Shape;

static Shape shape(const Layer *l) {
  Shape s = {0};
  dnnl_dims_t x = {l->n, l->c}, w = {l->o, l->c}, y = {l->n, l->o};
  for (int i = 0; i < l->ns; i++) {
    x[2 + i] = l->size[i], w[2 + i] = l->k, y[2 + i] = layer_out(l, i);
    s.stride[i] = l->stride, s.pad[i] = l->pad;
  }
  need(dnnl_memory_desc_init_by_tag(&s.x, l->ns + 2, x, dnnl_f32, dnnl_format_tag_any), "x");
  need(dnnl_memory_desc_init_by_tag(&s.w, l->ns + 2, w, dnnl_f32, dnnl_format_tag_any), "w");
  need(dnnl_memory_desc_init_by_tag(&s.y, l->ns + 2, y, dnnl_f32, dnnl_format_tag_any), "y");
  return s;
}

static dnnl_status_t describe(const Shape *s, int dir, dnnl_alg_kind_t alg, dnnl_convolution_desc_t *d) {
  if (dir == FWD)
    return dnnl_convolution_forward_desc_init(d, dnnl_forward_training, alg, &s->x, &s->w, NULL, &s->y,
                                              s->stride, s->pad, s->pad);
  if (dir == BWD_D)
    return dnnl_convolution_backward_data_desc_init(d, alg, &s->x, &s->w, &s->y, s->stride, s->pad, s->pad);
  return dnnl_convolution_backward_weights_desc_init(d, alg, &s->x, &s->w, NULL, &s->y, s->stride, s->pad,
                                                     s->pad);
}

/* Memory in the layout the primitive wants for one argument, filled with small numbers. */
static dnnl_exec_arg_t argument(const_dnnl_primitive_desc_t pd, dnnl_engine_t engine, dnnl_query_t query,
                                int arg) {
  const dnnl_memory_desc_t *md =
      dnnl_primitive_desc_query_md(pd, query, query == dnnl_query_exec_arg_md ? arg : 0);
  dnnl_exec_arg_t a = {arg, NULL};
  void *data;
  need(dnnl_memory_create(&a.memory, md, engine, DNNL_MEMORY_ALLOCATE), "memory");
  need(dnnl_memory_get_data_handle(a.memory, &data), "memory");
  float *f = data;
  for (size_t i = 0; i < dnnl_memory_desc_get_size(md) / 4; i++) f[i] = (float)(i % 17) * 0.01f;
  return a;
}

static double fastest(dnnl_primitive_t p, dnnl_stream_t stream, dnnl_exec_arg_t args[3]) {
  double best = 1e30, start = now();
  for (int rounds = 0; rounds < 3 || now() - start < 0.3; rounds++) {
    double t = now();
    need(dnnl_primitive_execute(p, stream, 3, args), "execute");
    need(dnnl_stream_wait(stream), "wait");
    t = now() - t;
    if (t < best) best = t;
  }
  return best;
}

static void measure(dnnl_engine_t engine, dnnl_stream_t stream, const Layer *l, int dir,
                    dnnl_alg_kind_t alg) {
  static const int names[DIRECTIONS][3] = {{DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST},
                                           {DNNL_ARG_DIFF_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_DST},
                                           {DNNL_ARG_SRC, DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_DIFF_DST}};
  Shape s = shape(l);
  dnnl_convolution_desc_t d;
  dnnl_primitive_desc_t pd, hint = NULL;
  bool winograd = alg == dnnl_convolution_winograd;
  if (dir != FWD) { /* backward passes are chosen with the forward one in view */
    need(describe(&s, FWD, dnnl_convolution_auto, &d), "descriptor");
    need(dnnl_primitive_desc_create(&hint, &d, NULL, engine, NULL), "forward");
  }
  need(describe(&s, dir, alg, &d), "descriptor");
  dnnl_status_t found = dnnl_primitive_desc_create(&pd, &d, NULL, engine, hint);
  if (hint) dnnl_primitive_desc_destroy(hint);
  if (found == dnnl_unimplemented && winograd) return;
  need(found, l->name);
  dnnl_primitive_t p;
  need(dnnl_primitive_create(&p, pd), "primitive");
  dnnl_exec_arg_t args[3];
  for (int i = 0; i < 3; i++) args[i] = argument(pd, engine, dnnl_query_exec_arg_md, names[dir][i]);
  double t = fastest(p, stream, args);
  printf("%-26s %-6s%-6s %8.2f ms %7.1f GFLOP/s\n", l->name, direction[dir], winograd ? "wino" : "", t * 1e3,
         layer_flops(l) / t * 1e-9);
  fflush(stdout);
  for (int i = 0; i < 3; i++) dnnl_memory_destroy(args[i].memory);
  dnnl_primitive_destroy(p);
  dnnl_primitive_desc_destroy(pd);
}

int main(int argc, char **argv) {
  if (argc > 1 && !strcmp(argv[1], "version"))
    return printf("%d.%d.%d\n", dnnl_version()->major, dnnl_version()->minor, dnnl_version()->patch), 0;
  setenv("OMP_NUM_THREADS", "1", 0);
  int only = argc > 1 ? atoi(argv[1]) : -1;
  dnnl_engine_t engine;
  dnnl_stream_t stream;
  need(dnnl_engine_create(&engine, dnnl_cpu, 0), "engine");
  need(dnnl_stream_create(&stream, engine, dnnl_stream_default_flags), "stream");
  for (int i = 0; i < LAYERS; i++)
    for (int dir = 0; dir < DIRECTIONS; dir++) {
      if (only >= 0 && only != i) continue;
      measure(engine, stream, &layer[i], dir, dnnl_convolution_direct);
      if (layer[i].k == 3 && layer[i].stride == 1)
        measure(engine, stream, &layer[i], dir, dnnl_convolution_winograd);
    }
  dnnl_stream_destroy(stream);
  dnnl_engine_destroy(engine);
  return 0;
}
