/* test_gpu_fill.c - batches that a device makes of images it keeps have the bits of those that the host
 * makes: windows, flips, turns, noise, labels. The kernels are emulated, with all their numbers as parameters
 * and with none; images lie in a pool of the test's. */
#include "tests/scratch.h"
#include "tests/end_to_end/gpu_models.h"
#include <stdio.h>
#include <unistd.h>
#include "runtime/batch/sampling.h"

/* ---- the store ---- */

enum { ITEMS = 256, POOL = 1 << 21 };
typedef struct {
  uint32_t *pool;
  int64_t used;
  int room; /* images it still takes */
  struct {
    bool there;
    double image, label;
    int64_t dim[3];
  } item[ITEMS];
} Kept;

static bool find(void *user, int item, int64_t dim[3], NetcView *view) {
  const Kept *s = user;
  if (!s->item[item].there) return false;
  memcpy(dim, s->item[item].dim, sizeof s->item[item].dim);
  view->image = s->item[item].image, view->label = s->item[item].label;
  return true;
}

static bool keep(void *user, int item, const float *image, int64_t floats, const uint8_t *label,
                 int64_t bytes, const int64_t dim[3], char err[ERR_MAX]) {
  Kept *s = user;
  (void)err;
  assert_true(item < ITEMS);
  if (s->room-- <= 0) return true;
  s->item[item].there = true, s->item[item].image = (double)s->used, s->item[item].label = -1;
  memcpy(s->item[item].dim, dim, sizeof s->item[item].dim);
  assert_true(s->used + floats + bytes / 4 + 2 < POOL);
  memcpy(s->pool + s->used, image, (size_t)floats * 4);
  s->used += floats;
  if (label) {
    s->item[item].label = (double)s->used;
    memcpy(s->pool + s->used, label, (size_t)bytes);
    s->used += (bytes + 3) / 4;
  }
  return true;
}

/* ---- a program's kernels ---- */

static Program *parse(Arena *a, const char *text) {
  char path[128];
  snprintf(path, sizeof path, "%s/m.net", root);
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  fputs(text, f);
  fclose(f);
  return compile_model(a, path, NULL, 0);
}

/* Emitted and planned for a GPU, as codegen_run does. */
static Module on_gpu(Arena *a, Program *p) {
  char err[IR_ERR] = "";
  Module m = {.arena = a, .prog = p, .machine = &machine_gpu};
  Emit *e = NULL;
  module_place_vars(&m);
  m.fn = arena_alloc(a, ((size_t)p->nfn + 1) * sizeof *m.fn);
  for (int i = 0; i < p->nfn; i++) {
    if (!(e = emit_fn_on(&machine_gpu, a, p->fn[i], e, err))) fail_msg("%s", err);
    m.fn[i] = (FnPlan){.fn = p->fn[i], .e = e};
    if (!plan_fn(&m, &m.fn[i], err)) fail_msg("%s", err);
    m.kernel = e->kernel, m.nkernel = e->nkernel;
  }
  if (!emit_fills(&m, err)) fail_msg("%s", err);
  return m;
}

static const Input *input_of(const Module *m, const Stream *s, const Field *field) {
  char name[128];
  snprintf(name, sizeof name, "%s.%s", s->name, field->name);
  for (int i = 0; i < m->fn[0].ninput; i++)
    if (!strcmp(m->fn[0].input[i].name, name)) return &m->fn[0].input[i];
  fail_msg("no input %s", name);
  return NULL;
}

typedef struct {
  const Module *m;
  const Dataset *data;
  Sampler *made, *viewed; /* the same */
  Kept store;
  uint64_t seed;
  int by_device; /* samples, so far */
} Case;

/* Row-major elements to channels last, to compare with what the sampler writes. */
static uint32_t element(const Input *in, const uint32_t *mem, int64_t sample, int64_t i, int64_t channel) {
  Node n = {.type = in->type};
  memcpy(n.order, in->order, sizeof n.order);
  int64_t spatial = type_count(in->type) / in->type.dim[0] / in->type.dim[1];
  return mem[run_memory_index(&n, (sample * in->type.dim[1] + channel) * spatial + i)];
}

static void compare(const Case *c, const Fill *fill, const NetcView *view, const uint32_t *got,
                    const uint32_t *want, uint64_t iteration) {
  const Stream *s = &c->m->prog->stream[fill->stream];
  const Field *field = &s->field[fill->field];
  const Input *in = input_of(c->m, s, field);
  int64_t n = in->type.dim[0], channels = in->type.dim[1], spatial = type_count(in->type) / n / channels;
  for (int64_t k = 0; k < n; k++)
    for (int64_t i = 0; i < spatial; i++)
      for (int64_t ch = 0; ch < channels; ch++) {
        uint32_t g = element(in, got, k, i, ch), w = want[(k * spatial + i) * channels + ch];
        if (view[k].image < 0 ? g == RUN_NAN : g == w) continue; /* the host's are left as they are */
        fail_msg("%s, iteration %llu, sample %lld, element %lld, channel %lld: %08x, the host has %08x",
                 field->name, (unsigned long long)iteration, (long long)k, (long long)i, (long long)ch, g, w);
      }
}

static void run_fill(const Case *c, Emulator *e, const Fill *fill, const NetcView *view, const uint32_t *want,
                     uint64_t iteration) {
  char err[IR_ERR] = "";
  const Stream *s = &c->m->prog->stream[fill->stream];
  const Input *in = input_of(c->m, s, &s->field[fill->field]);
  int64_t words = type_count(in->type), n = in->type.dim[0];
  uint32_t *out = malloc((size_t)words * 4);
  for (int64_t i = 0; i < words; i++) out[i] = RUN_NAN;
  NetcView *views = malloc((size_t)n * sizeof *views);
  memcpy(views, view, (size_t)n * sizeof *views);
  EmuBuffer arg[3] = {{c->store.pool, POOL * 4}, {views, n * (int64_t)sizeof *views}, {out, words * 4}};
  NetcStep step = {c->seed, iteration};
  if (!emulator_launch(e, fill->kernel, arg, fill->tasks, &step, iteration, err)) fail_msg("%s", err);
  compare(c, fill, view, out, want, iteration);
  free(out), free(views);
}

static void run_stream(Case *c, Emulator *const e[2], int stream, uint64_t iteration) {
  const Stream *s = &c->m->prog->stream[stream];
  ImageStore store = {&c->store, find, keep};
  BatchField host[4], device[4];
  char err[ERR_MAX] = "";
  int64_t n = s->field[0].type.dim[0];
  NetcView *view = calloc((size_t)n, sizeof *view);
  for (int f = 0; f < s->nfield; f++) {
    host[f] = (BatchField){(int32_t)s->field[f].kind, n, calloc((size_t)type_count(s->field[f].type), 4)};
    device[f] = (BatchField){(int32_t)s->field[f].kind, n, calloc((size_t)type_count(s->field[f].type), 4)};
  }
  if (!sampler_batch(c->made, iteration, host, s->nfield, err) ||
      !sampler_views(c->viewed, iteration, device, s->nfield, &store, view, err))
    fail_msg("%s", err);
  for (int64_t k = 0; k < n; k++) c->by_device += view[k].image >= 0;
  for (int i = 0; i < c->m->nfill; i++)
    if (c->m->fill[i].stream == stream)
      for (int way = 0; way < 2; way++)
        run_fill(c, e[way], &c->m->fill[i], view, host[c->m->fill[i].field].dst, iteration);
  for (int f = 0; f < s->nfield; f++) {
    size_t bytes = (size_t)(type_count(s->field[f].type) / n) * 4;
    for (int64_t k = 0; k < n; k++) /* what the host makes it makes as ever */
      if (view[k].image < 0 || !field_info[s->field[f].kind].by_device)
        assert_memory_equal((char *)host[f].dst + (size_t)k * bytes,
                            (char *)device[f].dst + (size_t)k * bytes, bytes);
    free(host[f].dst), free(device[f].dst);
  }
  free(view);
}

static void copy_list(NetcAugment *to, const Augment *from, int n) {
  for (int i = 0; i < n; i++) {
    to[i] = (NetcAugment){.kind = (int32_t)from[i].kind, .p = from[i].p};
    memcpy(to[i].value, from[i].value, sizeof to[i].value);
  }
}

/* As codegen/module/tables.c writes it. */
static NetcStream stream_of(const Stream *s, NetcAugment list[2 * NETC_AUGMENT_MOST]) {
  NetcAugment *strong = list + NETC_AUGMENT_MOST;
  copy_list(list, s->augment, s->naugment), copy_list(strong, s->strong, s->nstrong);
  return (NetcStream){.name = s->name,
                      .source = (int32_t)s->source,
                      .naugments = s->naugment,
                      .augments = list,
                      .nstrong = s->nstrong,
                      .strong = strong,
                      .foreground = s->foreground};
}

/* Every seventh element of every mask is to be ignored; `ignoring`: so it is in the next check. */
static bool ignoring;
static void ignore_some(Sampler *s) {
  char err[ERR_MAX] = "";
  for (int i = 0; i < s->n; i++) {
    Sample x;
    bool owned;
    if (!sampler_fetch(s, i, &x, &owned, err)) fail_msg("%s", err);
    assert_false(owned);
    for (int64_t k = 0; k < sample_count(s, x.dim); k += 7) x.label[k] = 255;
  }
}

/* room: images that the store takes. */
static void check(const char *text, int fills, int64_t channels, int room, int iterations) {
  Arena *a = arena_new();
  char err[ERR_MAX] = "";
  Module m = on_gpu(a, parse(a, text));
  assert_int_equal(m.nfill, fills);
  const Type t = m.prog->stream[0].field[0].type;
  DataShape shape = {.spatial = t.rank - 2, .channels = (int)channels, .classes = 3};
  for (int i = 0; i < shape.spatial; i++) shape.size[i] = t.dim[2 + i];
  Dataset *data = data_open("phantom", &shape, err);
  if (!data) fail_msg("%s", err);
  Emulator *e[2];
  const KFn **k = arena_alloc(a, ((size_t)m.nkernel + 1) * sizeof *k);
  ShareMode *mode = arena_alloc(a, ((size_t)m.nkernel + 1) * sizeof *mode);
  for (int way = 0; way < 2; way++) {
    for (int i = 0; i < m.nkernel; i++) k[i] = m.kernel[i].k[0], mode[i] = way ? SHARE_ALL : SHARE_HEAVY;
    if (!(e[way] = emulator_shared(k, mode, m.nkernel, err))) fail_msg("%s", err);
  }
  int device = 0;
  for (int s = 0; s < m.prog->nstream; s++) {
    Case c = {.m = &m, .data = data, .store = {.pool = calloc(POOL, 4), .room = room}, .seed = 77};
    NetcAugment list[2 * NETC_AUGMENT_MOST];
    NetcStream stream = stream_of(&m.prog->stream[s], list);
    for (int i = 0; i < 2; i++)
      if (!(*(i ? &c.made : &c.viewed) = sampler_new(data, &stream, s, c.seed, err))) fail_msg("%s", err);
    if (ignoring) ignore_some(c.made), ignore_some(c.viewed);
    for (int it = 0; it < iterations; it++) run_stream(&c, e, s, (uint64_t)it * 40);
    device += c.by_device;
    sampler_free(c.made), sampler_free(c.viewed), free(c.store.pool);
  }
  assert_true(fills ? device > 0 : device == 0 || room > 0);
  emulator_free(e[0]), emulator_free(e[1]);
  data_close(data);
  arena_free(a);
}

#define NET(extra, use)                                                                                      \
  "net tiny(x; n) { return conv(x, n, 1) }\nstudent = tiny(2)\ntrain t {\n  batch labeled (augment = %s) "   \
  "{\n"                                                                                                      \
  "    image: f32[%s]\n    label: label[%s]\n" extra "  }\n  update student with adam(1e-3) {\n"             \
  "    minimize mean(onehot(labeled.label, 2) * log_softmax(student(labeled.image)))" use "\n  }\n}\n"

static void check_net(const char *augment, const char *image, const char *label, int64_t channels, int room) {
  char text[1024];
  snprintf(text, sizeof text, NET("", ""), augment, image, label);
  check(text, 2, channels, room, room == ITEMS ? 3 : 12);
}

TEST(flips_and_turns_have_the_bits_of_the_host) {
  check_net("[\"flip\", \"rot90\"]", "3, 1, 40, 40", "3, 40, 40", 1, ITEMS);
  check_net("[\"flip\", \"rot90\"]", "2, 1, 24, 37", "2, 24, 37", 1, ITEMS); /* half turns only */
  check_net("[]", "2, 1, 16, 33", "2, 16, 33", 1, ITEMS);
}

TEST(windows_have_the_bits_of_the_host) {
  check_net("[\"flip\", \"rot90\", \"crop\"]", "3, 1, 36, 36", "3, 36, 36", 1, ITEMS);
  check_net("[\"crop\"]", "2, 3, 20, 33", "2, 20, 33", 3, ITEMS);
  check_net("[\"crop\"]", "4, 1, 8, 9", "4, 8, 9", 1,
            60); /* small images: many windows end at the last element */
}

TEST(noise_has_the_bits_of_the_host) {
  check_net("[\"noise\"]", "3, 1, 33, 20", "3, 33, 20", 1, ITEMS);
  check_net("[\"flip\", \"rot90\", \"crop\", \"noise\"]", "2, 3, 34, 34", "2, 34, 34", 3, ITEMS);
}

TEST(volumes_have_the_bits_of_the_host) {
  check_net("[\"flip\", \"rot90\", \"crop\", \"noise\"]", "2, 1, 12, 12, 35", "2, 12, 12, 35", 1, ITEMS);
  check_net("[]", "2, 1, 9, 12, 8", "2, 9, 12, 8", 1, ITEMS);
}

TEST(rotations_and_scales_have_the_bits_of_the_host) {
  check_net("[rotate(180, p = 1)]", "3, 1, 33, 20", "3, 33, 20", 1, ITEMS);
  check_net("[\"flip\", \"rot90\", rotate(20, p = 0.5), scale(0.5, 2, p = 0.5), \"crop\"]", "3, 3, 24, 24",
            "3, 24, 24", 3, ITEMS);
  check_net("[rotate(30, p = 1), scale(p = 1), \"crop\", \"flip\"]", "2, 1, 9, 12, 10", "2, 9, 12, 10", 1,
            ITEMS);
}

TEST(noise_of_drawn_deviations_has_the_bits_of_the_host) {
  check_net("[noise(0, 0.5, p = 0.5)]", "4, 1, 12, 20", "4, 12, 20", 1, ITEMS);
}

/* Some samples by the device, others by the host. */
TEST(batches_of_both_have_the_bits_of_the_host) {
  check_net("[\"flip\", \"crop\", \"noise\"]", "4, 1, 24, 24", "4, 24, 24", 1, 5);
}

/* Distance maps are the host's, of the same labels. */
TEST(distance_maps_have_the_bits_of_the_host) {
  char text[1024];
  snprintf(text, sizeof text,
           NET("    sdf: sdf[2, 16, 16]\n", " + mean(student(labeled.image) * labeled.sdf)"),
           "[\"flip\", \"rot90\"]", "2, 1, 16, 16", "2, 16, 16");
  check(text, 2, 1, ITEMS, 2);
}

/* The device makes all of a stream's images or none. */
TEST(what_no_device_makes_leaves_the_stream_to_the_host) {
  static const char *const list[] = {"[elastic()]", "[\"flip\", gamma(p = 1)]", "[\"noise\", \"noise\"]",
                                     "[blur(0.5, 1)]"};
  for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
    char text[1024];
    Arena *a = arena_new();
    snprintf(text, sizeof text, NET("", ""), list[i], "2, 1, 16, 16", "2, 16, 16");
    assert_int_equal(on_gpu(a, parse(a, text)).nfill, 0);
    arena_free(a);
  }
}

/* Patches around foreground are views as any other. */
TEST(foreground_has_the_bits_of_the_host) {
  char text[1024];
  snprintf(text, sizeof text, NET("", ""), "[\"flip\", \"crop\", rotate(20, p = 0.5)], foreground = 0.5",
           "2, 1, 8, 9, 10", "2, 8, 9, 10");
  check(text, 2, 1, ITEMS, 4);
}

/* Second views are the host's, of the image that the device makes. */
TEST(second_views_have_the_bits_of_the_host) {
  char text[1024];
  snprintf(text, sizeof text, NET("    strong: f32[3, 1, 16, 16]\n", " + mean(student(labeled.strong))"),
           "[\"flip\", rotate(20), \"noise\"], strong = [brightness(p = 1), cutout(p = 1)]", "3, 1, 16, 16",
           "3, 16, 16");
  check(text, 2, 1, ITEMS, 3);
}

TEST(labels_to_be_ignored_have_the_bits_of_the_host) {
  ignoring = true;
  check_net("[\"flip\", \"crop\"]", "3, 1, 20, 20", "3, 20, 20", 1, ITEMS);
  ignoring = false;
}

RUN_TESTS(scratch_set_up, scratch_tear_down)
