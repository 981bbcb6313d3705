/* test_module.c - opening modules, initial values, describing and executing: with the toy module. */
#include <stdint.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cjson/cJSON.h>
#include "tests/test.h"
#include "runtime/device/open.h"
#include "runtime/base/array.h"
#include "runtime/session/checkpoint.h"
#include "runtime/cli/exec.h"
#include "runtime/cli/info.h"
#include "runtime/io/npy.h"

#include "tests/scratch.h"

#define TOY TEST_MODULES "/toy.so"

static Session *toy(int threads) {
  char err[ERR_MAX];
  Module *m = module_open(TOY, err);
  if (!m) fail_msg("%s", err);
  Session *s = session_new(m, threads, err);
  if (!s) fail_msg("%s", err);
  return s;
}

static void drop(Session *s) {
  Module *m = (Module *)(uintptr_t)s->module;
  session_free(s);
  module_close(m);
}

static void write_file(const char *path, const void *bytes, size_t n) {
  FILE *f = fopen(path, "wb");
  assert_non_null(f);
  assert_int_equal(fwrite(bytes, 1, n, f), n);
  fclose(f);
}

static void refuses(const char *path, const char *why) {
  char err[ERR_MAX] = "";
  assert_null(module_open(path, err));
  if (!strstr(err, why) || !strstr(err, path)) fail_msg("`%s` lacks `%s`", err, why);
}

TEST(what_is_no_module_is_refused) {
  refuses(in_root("nothing.so"), "No such file");
  write_file(in_root("text.so"), "just a text that is long enough for a header, and on it goes, on and on",
             70);
  refuses(in_root("text.so"), "is not a module");
  refuses(TEST_MODULES "/toy_version.so", "another version of netc (it is of module version 99, ");
  refuses(TEST_MODULES "/toy_broken.so", "output loss lies outside the arena");
}

/* Cut anywhere, a module is refused and never loaded half. */
TEST(a_module_that_is_cut_short_is_refused) {
  Bytes file;
  char err[ERR_MAX];
  assert_true(file_map(TOY, &file, err));
  for (int i = 0; i < 40; i++) {
    write_file(in_root("cut.so"), file.data, file.size * (size_t)i / 40);
    assert_null(module_open(in_root("cut.so"), err));
    assert_non_null(strstr(err, "cut.so"));
  }
  file_unmap(&file);
}

TEST(an_instruction_set_can_be_asked_for) {
  char err[ERR_MAX];
  setenv("NETRUN_ISA", "avx2", 1);
  Module *m = module_open(TOY, err);
  assert_non_null(m);
  assert_int_equal(m->isa, NETC_ISA_AVX2);
  module_close(m);
  setenv("NETRUN_ISA", "sse9", 1);
  assert_null(module_open(TOY, err));
  assert_non_null(strstr(err, "sse9"));
  unsetenv("NETRUN_ISA");
}

/* ---- tables that a host could trip over ---- */

static void broken(NetcModule d, const char *why) {
  char err[ERR_MAX] = "";
  assert_false(module_check(&d, err));
  if (!strstr(err, why)) fail_msg("`%s` lacks `%s`", err, why);
}

TEST(a_table_that_is_wrong_is_refused) {
  char err[ERR_MAX];
  NetcArray x = {.name = "x", .rank = 1, .dim = {4}, .offset = 0, .bytes = 16};
  NetcVar v = {.array = x};
  NetcModule good = {.arena_bytes = 64, .variable_bytes = 16, .nvars = 1, .vars = &v}, d = good;
  assert_true(module_check(&d, err));
  d.vars = NULL, broken(d, "table is missing"), d = good;
  d.variable_bytes = 65, broken(d, "arena's size"), d = good;
  v.array.offset = 52, broken(d, "outside the arena"), v.array = x;
  v.array.bytes = 12, broken(d, "outside the arena"), v.array = x;
  v.array.dim[0] = INT64_MAX, broken(d, "does not fit"), v.array = x;
  v.array.rank = 9, broken(d, "9 axes"), v.array = x;
  v.array.order[0] = 1, broken(d, "order of axes"), v.array = x;
  v.init = NETC_INIT_COPY, broken(d, "copies nothing");
  v.init_from = "x", broken(d, "copies nothing"); /* itself */
  v.init = NETC_INIT_CONST;
  int64_t arg = 64;
  NetcKernel k = {.name = "k", .op = "map"};
  NetcLaunch l = {.nargs = 1, .tasks = 1, .place = -1};
  NetcFn f = {.name = "f", .nlaunches = 1, .launches = &l, .args = &arg};
  d.nfns = 1, d.fns = &f, d.nkernels = 1, d.kernels = &k;
  broken(d, "works outside the arena");
  arg = 0;
  assert_true(module_check(&d, err));
  l.kernel = 1;
  broken(d, "launch 0 of f is broken");
  NetcSourceLine p = {.file = "f.net", .line = 1, .caller = -1};
  l.kernel = 0, l.place = 0, broken(d, "launch 0 of f is broken");
  d.places = &p, d.nplaces = 1;
  assert_true(module_check(&d, err));
  p.caller = 0, broken(d, "called from below"); /* by itself: whoever follows callers would never end */
  NetcAugment turn = {.kind = NETC_AUG_ROTATE, .p = 0.5, .value = {30, 30}};
  NetcStream stream = {.name = "s", .naugments = 1, .augments = &turn};
  p.caller = -1, d.nstreams = 1, d.streams = &stream;
  assert_true(module_check(&d, err));
  turn.value[0] = 200, broken(d, "augmentations"), turn.value[0] = 30;
  turn.kind = NETC_AUG_CUTOUT + 1, broken(d, "augmentations"), turn.kind = NETC_AUG_ROTATE;
  stream.naugments = NETC_AUGMENT_MOST + 1, broken(d, "augmentations"), stream.naugments = 1;
  stream.foreground = -1, broken(d, "augmentations");
  d.nstreams = 0, d.streams = NULL;
  NetcValidation validation = {.every = 5, .best = "95HD", .val = "20%"};
  d.validation = &validation;
  assert_true(module_check(&d, err));
  validation.every = -1, broken(d, "every -1 iterations"), validation.every = 5;
  validation.best = "NSD", broken(d, "no metric for it"), validation.best = "95hd";
  broken(d, "no metric for it"), validation.best = NULL;
  validation.val = "", broken(d, "makes no sense"), validation.val = NULL;
  assert_true(module_check(&d, err));
  /* A GPU's tables: functions in an arena of their own. */
  NetcDeviceText text = {{NULL}};
  NetcDeviceCode code = {.entry = "e", .threads = 32, .tasks = 1};
  NetcDeviceKernel on = {.name = "k", .op = "map"};
  NetcFn on_device = f;
  NetcDevice g = {.arena_bytes = 64,
                  .ncodes = 1,
                  .nkernels = 1,
                  .ntexts = 1,
                  .texts = &text,
                  .codes = &code,
                  .kernels = &on,
                  .fns = &on_device};
  d.device = &g;
  assert_true(module_check(&d, err));
  on.code = 1, broken(d, "kernel 0 for GPUs"), on.code = 0;
  code.threads = 2048, broken(d, "code 0 for GPUs"), code.threads = 32;
  code.text = 1, broken(d, "code 0 for GPUs"), code.text = 0;
  code.nparams = NETC_MAX_PARAMS + 1, broken(d, "code 0 for GPUs");
  code.nparams = 1, broken(d, "kernel 0 for GPUs"), code.nparams = 0;
  NetcDeviceFill fill = {.stream = 0, .tasks = 1};
  g.nfills = 1, broken(d, "a table for GPUs"), g.fills = &fill;
  broken(d, "fill 0 for GPUs is broken"), g.nfills = 0; /* there is no stream */
  g.nkernels = 0, broken(d, "launch 0 of f is broken"), g.nkernels = 1;
  g.arena_bytes = 8, broken(d, "a table for GPUs");
}

TEST(a_wrong_statement_of_preparation_is_refused) {
  char err[ERR_MAX];
  static const char *const name[] = {"background", "liver"};
  const char *holes[] = {"background", NULL};
  NetcIntensity x = {.kind = NETC_INTENSITY_FIXED, .deviation = 1, .scale = 1}, sound = x;
  NetcLabelRule rule[2] = {{0, NETC_NO_COLOUR, 0}, {7, NETC_NO_COLOUR, 1}};
  const NetcPrepare good = {.intensities = &x,
                            .nintensities = 1,
                            .labels = rule,
                            .nlabels = 2,
                            .classes = name,
                            .nclasses = 2,
                            .orientation = "RAS",
                            .overlap = 0.5};
  NetcPrepare p = good;
  NetcModule d = {.prepare = &p};
  if (!module_check(&d, err)) fail_msg("%s", err);
  p.classes = NULL, broken(d, "a table of prepare"), p = good;
  p.nchannels = 1, broken(d, "a table of prepare"), p = good;
  p.nintensities = 0, broken(d, "a table of prepare"), p = good;
  p.classes = holes, broken(d, "class without name"), p = good;
  p.plane = 5, broken(d, "unknown"), p = good;
  p.mask_order = NETC_ORDER_CUBIC, broken(d, "unknown"), p = good;
  p.post = 4, broken(d, "unknown"), p = good;
  p.orientation[1] = 'L', broken(d, "unknown"), p = good;
  memset(p.orientation, 'R', sizeof p.orientation), broken(d, "unknown"), p = good;
  p.overlap = 1, broken(d, "overlap"), p = good;
  p.drop = NAN, broken(d, "drop"), p = good;
  p.mm[2] = -1, broken(d, "spacing"), p = good;
  p.stride[0] = -1, broken(d, "stride"), p = good;
  p.ignore = 1, broken(d, "ignored"), p = good;
  p.nlabels = 0, broken(d, "0 labels of 2 classes"), p = good;
  x.kind = 7, broken(d, "intensity 0"), x = sound;
  x.scale = 0, broken(d, "intensity 0"), x = sound;
  x.clip = 1, broken(d, "intensity 0"), x = sound;
  rule[1].cls = 2, broken(d, "label 1"), rule[1].cls = NETC_CLASS_IGNORED;
  broken(d, "ignored");
  p.ignore = 1;
  assert_true(module_check(&d, err));
}

/* ---- variables ---- */

static const NetcArray *variable(const Session *s, int i) { return &s->module->desc->vars[i].array; }

TEST(initial_values_are_the_same_for_any_number_of_threads) {
  Session *a = toy(1), *b = toy(3);
  session_init(a, 5), session_init(b, 5);
  size_t bytes = (size_t)a->module->desc->variable_bytes;
  assert_memory_equal(a->arena, b->arena, bytes);
  float *w = session_at(a, variable(a, 0)), *velocity = session_at(a, variable(a, 1)),
        *ema = session_at(a, variable(a, 2));
  assert_true(w[0] >= -0.1f && w[0] < 0.1f && w[0] != w[1]);
  assert_true(velocity[0] == 0);
  assert_true(ema[0] == w[0] && ema[1] == w[1]);
  session_init(b, 6);
  assert_memory_not_equal(a->arena, b->arena, bytes);
  drop(a), drop(b);
}

/* net.table is normal(1, 2) with a transposed layout: element (r, c) has row-major index 3 r + c. The
 * expected value is ir/philox.h's definition at that index, written out. */
#include "ir/philox.h"
TEST(initial_values_are_those_of_the_logical_element) {
  Session *s = toy(2);
  session_init(s, 9);
  const float *memory = session_at(s, variable(s, 3));
  float logical[6];
  array_from_memory(variable(s, 3), memory, logical);
  uint64_t site = 0xcbf29ce484222325u;
  for (const char *p = "net.table"; *p; p++) site = (site ^ (uint64_t)*p) * 0x100000001b3u;
  for (int r = 0; r < 2; r++)
    for (int c = 0; c < 3; c++) {
      uint32_t x[4];
      philox_at(x, 9, 0xffffffffu, site, (uint64_t)(3 * r + c));
      double z =
          sqrt(-2 * log(((x[0] >> 8) + 1) / 16777216.0)) * cos(2 * acos(-1) * ((x[1] >> 8) / 16777216.0));
      assert_true(fabs(logical[3 * r + c] - (1 + 2 * z)) < 1e-5);
      assert_true(memory[2 * c + r] == logical[3 * r + c]);
    }
  drop(s);
}

TEST(arrays_are_reordered_and_come_back) {
  NetcArray a = {.name = "a", .rank = 4, .dim = {2, 3, 4, 5}, .order = {0, 2, 3, 1}};
  float logical[120], memory[120], back[120];
  for (int i = 0; i < 120; i++) logical[i] = (float)i;
  array_to_memory(&a, logical, memory);
  for (int n = 0, k = 0; n < 2; n++)
    for (int y = 0; y < 4; y++)
      for (int x = 0; x < 5; x++)
        for (int c = 0; c < 3; c++) assert_true(memory[k++] == (float)(((n * 3 + c) * 4 + y) * 5 + x));
  array_from_memory(&a, memory, back);
  assert_memory_equal(back, logical, sizeof logical);
  array_from_channels_last(&a, memory, back);
  assert_memory_equal(back, memory, sizeof memory);
  for (int i = 0; i < 4; i++) a.order[i] = (uint8_t)i;
  array_from_channels_last(&a, memory, back);
  assert_memory_equal(back, logical, sizeof logical);
  char buf[128];
  assert_string_equal(array_str(&a, buf), "f32[2,3,4,5]");
}

/* ---- checkpoints ---- */

TEST(a_checkpoint_reads_back_the_same) {
  char err[ERR_MAX] = "";
  Session *a = toy(1), *b = toy(2);
  session_init(a, 5), session_init(b, 6);
  Progress in = {.iteration = 3,
                 .seed = 5,
                 .epoch = 1,
                 .max_iterations = 12,
                 .data = "phantom",
                 .labeled = "10%"},
           out;
  assert_true(checkpoint_save(a, in_root("c.safetensors"), &in, err));
  assert_true(checkpoint_load(b, in_root("c.safetensors"), NULL, &out, err));
  assert_memory_equal(a->arena, b->arena, (size_t)a->module->desc->variable_bytes);
  assert_memory_equal(&in, &out, sizeof in);
  /* values that are not finite are neither written nor read, and leave what is there */
  float *w = session_at(a, variable(a, 0)), keep = w[1];
  w[1] = NAN;
  assert_false(checkpoint_save(a, in_root("c.safetensors"), &in, err));
  assert_non_null(strstr(err, "net.weight"));
  assert_true(checkpoint_load(a, in_root("c.safetensors"), NULL, NULL, err));
  assert_true(w[1] == keep);
  drop(a), drop(b);
}

typedef struct {
  float value;
  int count;
} Same;

static bool fill_same(void *user, int i, void *dst, char err[ERR_MAX]) {
  const Same *same = user;
  (void)i, (void)err;
  for (int k = 0; k < same->count; k++) ((float *)dst)[k] = same->value;
  return true;
}

TEST(weights_of_another_network_are_refused) {
  char err[ERR_MAX] = "";
  Session *s = toy(1);
  session_init(s, 5);
  float before[80];
  Same one = {1, 2}, not_a_number = {NAN, 2};
  memcpy(before, s->arena, sizeof before);
  StTensor t = {.name = (char[]){"net.weight"}, .rank = 1, .dim = {2}};
  /* predict works on net.weight alone: a file with nothing else will do, but not for training or resuming */
  assert_true(st_write(in_root("w.safetensors"), &t, 1, NULL, 0, fill_same, &not_a_number, err));
  assert_false(checkpoint_load(s, in_root("w.safetensors"), module_fn(s->module, "predict"), NULL, err));
  assert_non_null(strstr(err, "NaN"));
  assert_memory_equal(before, s->arena, sizeof before);
  assert_true(st_write(in_root("w.safetensors"), &t, 1, NULL, 0, fill_same, &one, err));
  assert_false(checkpoint_load(s, in_root("w.safetensors"), NULL, NULL, err));
  assert_non_null(strstr(err, "another network"));
  assert_non_null(strstr(err, "ema.weight: f32[2] in the module, missing in the file"));
  assert_memory_equal(before, s->arena, sizeof before);
  assert_true(checkpoint_load(s, in_root("w.safetensors"), module_fn(s->module, "predict"), NULL, err));
  assert_true(((float *)session_at(s, variable(s, 0)))[1] == 1);
  Progress p;
  assert_false(checkpoint_load(s, in_root("w.safetensors"), module_fn(s->module, "predict"), &p, err));
  assert_non_null(strstr(err, "no checkpoint"));
  t.dim[0] = one.count = 1;
  assert_true(st_write(in_root("w.safetensors"), &t, 1, NULL, 0, fill_same, &one, err));
  assert_false(checkpoint_load(s, in_root("w.safetensors"), module_fn(s->module, "predict"), NULL, err));
  assert_non_null(strstr(err, "net.weight: f32[2] in the module, f32[1] in the file"));
  drop(s);
}

/* ---- commands ---- */

TEST(info_names_networks_kernels_and_batches) {
  Session *s = toy(1);
  char *text = NULL;
  size_t n;
  FILE *f = open_memstream(&text, &n);
  assert_true(info_json(s->module, f));
  fclose(f);
  cJSON *j = cJSON_Parse(text);
  const cJSON *net = cJSON_GetArrayItem(cJSON_GetObjectItem(j, "networks"), 0);
  assert_string_equal(cJSON_GetObjectItem(net, "name")->valuestring, "net");
  assert_int_equal(cJSON_GetObjectItem(net, "parameters")->valueint, 2);
  assert_int_equal(cJSON_GetObjectItem(net, "macs")->valueint, 256);
  assert_int_equal(cJSON_GetObjectItem(j, "arena_bytes")->valueint, s->module->desc->arena_bytes);
  assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(j, "kernels")), 4);
  cJSON_Delete(j);
  free(text);
  f = open_memstream(&text, &n);
  info_text(s->module, f);
  fclose(f);
  assert_non_null(strstr(text, "toy: training step, 3 launches"));
  assert_non_null(strstr(text, "labeled images, fields image, label; augmented by flip"));
  free(text);
  drop(s);
}

static float result(const char *name, int i) {
  char err[ERR_MAX];
  Npy a;
  if (!npy_read(in_root(name), &a, err)) fail_msg("%s", err);
  float v = (float)npy_value(&a, i);
  npy_free(&a);
  return v;
}

/* With x = 1 everywhere, y = 1 and w = b = 1: z = 2, loss = log(1 + e^-2), both gradients sigma(2) - 1. */
TEST(exec_computes_what_the_pencil_says) {
  char err[ERR_MAX] = "";
  static float image[1024];
  static uint8_t label[1024];
  for (int i = 0; i < 1024; i++) image[i] = 1, label[i] = 1;
  int64_t dim[4] = {4, 1, 16, 16}, wrong[4] = {4, 16, 16, 1};
  Same one = {1, 2};
  StTensor t[2] = {{.name = (char[]){"net.weight"}, .rank = 1, .dim = {2}},
                   {.name = (char[]){"ema.weight"}, .rank = 1, .dim = {2}}};
  assert_true(npy_write(in_root("image.npy"), NPY_F4, 4, dim, image, err));
  assert_true(npy_write(in_root("label.npy"), NPY_U1, 4, dim, label, err));
  assert_true(npy_write(in_root("wrong.npy"), NPY_F4, 4, wrong, image, err));
  assert_true(st_write(in_root("w.safetensors"), t, 2, NULL, 0, fill_same, &one, err));
  char image_path[128], label_path[128], weights[128];
  snprintf(image_path, 128, "%s", in_root("image.npy"));
  snprintf(label_path, 128, "%s", in_root("label.npy"));
  snprintf(weights, 128, "%s", in_root("w.safetensors"));
  ExecInput in[2] = {{"batch.image", image_path}, {"batch.label", label_path}};
  ExecOptions o = {.function = "toy", .weights = weights, .out = root, .input = in, .ninput = 2, .epoch = 3};
  Session *s = toy(2);
  if (!exec_run(s, &o, err)) fail_msg("%s", err);
  double sigma = 1 / (1 + exp(-2.0));
  assert_true(fabs(result("loss.npy", 0) + log(sigma)) < 1e-6);
  assert_true(fabs(result("grad_net.weight.npy", 0) - (sigma - 1)) < 1e-6);
  assert_true(fabs(result("grad_net.weight.npy", 1) - (sigma - 1)) < 1e-6);
  assert_true(result("extra.npy", 0) >= 3 && result("extra.npy", 0) < 4);
  StFile *after = st_open(in_root("after.safetensors"), err);
  assert_non_null(after);
  float w;
  memcpy(&w, st_find(after, "net.weight")->data, 4);
  assert_true(fabs(w - (1 - 0.5 * (sigma - 1))) < 1e-6);
  int32_t count; /* the gradients were taken from the same state: one step, not two */
  memcpy(&count, st_find(after, "count")->data, 4);
  assert_int_equal(count, 1);
  st_close(after);

  o.ninput = 1;
  assert_false(exec_run(s, &o, err));
  assert_non_null(strstr(err, "batch.label i32[4,1,16,16]"));
  o.ninput = 2, in[1].path = image_path, in[0].path = in_root("wrong.npy");
  assert_false(exec_run(s, &o, err));
  assert_non_null(strstr(err, "has shape [4,16,16,1]; input batch.image is f32[4,1,16,16]"));
  o.function = "toyy";
  assert_false(exec_run(s, &o, err));
  assert_non_null(strstr(err, "toy, toy.grads, predict"));
  drop(s);
}

RUN_TESTS(scratch_set_up, scratch_tear_down)
