/* test_channels.c - layers of hundreds to thousands of channels: every kernel of a training step can be made,
 * for the host and for GPUs, in float32 and bf16. What a kernel keeps in scratch has a limit, and grows with
 * the channels in many ways of doing a layer. */
#include <stdio.h>
#include "tests/test.h"
#include "codegen/emit/core/emit.h"
#include "codegen/emit/core/machine.h"
#include "codegen/gpu/simt.h"
#include "frontend/frontend.h"
#include "passes/passes.h"

/* Shared memory that a text may declare; what is dynamic may have all that a newer GPU has. */
static void check_shared(const KFn *k, const char *text) {
  enum { STATIC = 48 << 10, DYNAMIC = 227 << 10 };
  if (simt_shared(k) > (simt_dynamic(k) ? DYNAMIC : STATIC))
    fail_msg("%s\n%s: %lld bytes of shared memory", text, k->name, (long long)simt_shared(k));
}

static void verify(const Emit *e, const char *text) {
  char err[256] = "";
  for (int i = 0; i < e->nkernel; i++)
    for (int isa = 0; isa < e->machine->isas; isa++) {
      const KFn *k = e->kernel[i].k[isa], *form[] = {k, k ? k->sm90 : NULL};
      for (int n = 0; n < 2; n++) {
        if (!form[n]) continue;
        if (!kir_verify(form[n], err)) fail_msg("%s\n%s", text, err);
        if (e->machine->simt) check_shared(form[n], text);
      }
    }
}

/* A layer from `channels` channels to as many, between 1x1 convolutions, learns. */
static void check(const char *layer, int channels, const char *size, const char *const how[2]) {
  char text[1024], err[256] = "";
  snprintf(
      text, sizeof text,
      "use \"blocks/dybac.net\"\nuse \"blocks/norms.net\"\noption precision = \"%s\"\noption tf32 = %s\n"
      "block depthwise(x) { return dwconv(x, param(shape(x)[:2] + ([3, 3] if dims(x) == 2 else [3, 3, "
      "3]), init_uniform(1)), pad = 1) }\n"
      "net probe(x; c) {\n  x = relu(conv(x, c, 1))\n  x = relu(%s)\n  return conv(x, 2, 1)\n}\n"
      "student = probe(%d)\ntrain t {\n  batch labeled { image: f32[2, 1, %s] }\n"
      "  update student with sgd(0.1) {\n    y = student(labeled.image)\n    minimize mean(y * y)\n  }\n}\n",
      how[0], how[1], layer, channels, size);
  Arena *a = arena_new();
  FrontendOptions o = {.diag = stderr};
  Program *p = frontend_compile_text(a, "models/channels.net", text, &o, NULL);
  if (!p) fail_msg("%s", text);
  if (!passes_run(p, &(PassOptions){.verify = false}, err)) fail_msg("%s: %s", text, err);
  static const Machine *const machine[] = {&machine_host, &machine_gpu};
  for (int m = 0; m < 2; m++) {
    Emit *e = emit_fn_on(machine[m], a, p->fn[0], NULL, err);
    if (!e) fail_msg("%s\n%s: %s", text, machine[m]->name, err);
    verify(e, text);
  }
  arena_free(a);
}

static const int many[] = {600, 608, 640, 1000, 1201, 1820, 1824, 2208, 2998, 3001, 4096, 8192};
enum { MANY = sizeof many / sizeof *many };

static void sweep(const char *layer, const char *size) {
  static const char *const how[][2] = {{"f32", "on"}, {"f32", "off"}, {"bf16", "on"}};
  for (int i = 0; i < MANY; i++)
    for (int h = 0; h < 3; h++) check(layer, many[i], size, how[h]);
}

TEST(convolutions_can_be_made_of_any_number_of_channels) {
  static const char *const layer[] = {"conv(x, c, 3, pad = 1)", "conv(x, c, 1)",
                                      "conv(x, c, 3, pad = 1, stride = 2)", "convt(x, c, 2, stride = 2)"};
  for (size_t i = 0; i < sizeof layer / sizeof *layer; i++) {
    sweep(layer[i], "14, 14"), sweep(layer[i], "8, 8, 8");
    if (i == 0) sweep(layer[i], "32, 32"), sweep(layer[i], "3, 3, 3");
  }
}

TEST(depthwise_layers_can_be_made_of_any_number_of_channels) {
  static const char *const layer[] = {"depthwise(x)", "conv(depthwise(x), c, 1)", "dybac(x, c)"};
  for (size_t i = 0; i < sizeof layer / sizeof *layer; i++)
    sweep(layer[i], "14, 14"), sweep(layer[i], "8, 8, 8");
}

TEST(other_layers_can_be_made_of_any_number_of_channels) {
  static const char *const layer[] = {"x + reshape(linear(flatten(mean(x, \"spatial\")), c), [2, c, 1, 1])",
                                      "batchnorm(x)", "group_norm(x, 1)", "softmax(x)",
                                      "x * max(x, axes = 1)"};
  for (size_t i = 0; i < sizeof layer / sizeof *layer; i++) sweep(layer[i], "14, 14");
}

RUN_TESTS(NULL, NULL)
