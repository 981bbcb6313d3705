/* test_embed.c - libnetc.so in a program of its own: what it computes is what netrun computes, its messages,
 * and what it exports. */
#include "tests/test.h"
#include "tests/end_to_end/shell.h"
#include <pthread.h>
#include "runtime/embed/netc.h"

#ifdef __SANITIZE_ADDRESS__ /* the library is built with them */
#define SANITIZERS "-fsanitize=address,undefined"
#else
#define SANITIZERS ""
#endif

enum { SIZE = 32, CLASSES = 3, PIXELS = SIZE * SIZE };

static const char network[] =
    "use \"%s/models/blocks/unet.net\"\n"
    "use \"%s/models/blocks/losses.net\"\n"
    "student = unet(3, widths = [8, 16])\n"
    "train t {\n"
    "  batch labeled { image: f32[2, 1, 32, 32]  label: label[2, 32, 32] }\n"
    "  update student with sgd(0.1) { minimize ce_dice(student(labeled.image), labeled.label) }\n"
    "}\n"
    "predict(image: f32[1, 1, 32, 32]) { return softmax(student(image)) }\n"
    "forward twice(x: f32[1, 1, 2, 3], y: label[1, 2, 3]) { return x * 2, int(y + 1) }\n";

/* The module, and weights of two iterations. */
FIXTURE(set_up) {
  if (shell_set_up(state)) return -1;
  FILE *f = fopen(in_root("m.net"), "w");
  assert_non_null(f);
  fprintf(f, network, source, source);
  fclose(f);
  runs("%s m.net -o m.so && %s train m.so --data phantom --iterations 2 --out run", NETC_BINARY,
       NETRUN_BINARY);
  return 0;
}

static NetcModel *opened(const char *weights) {
  char error[NETC_ERROR_MAX] = "";
  NetcModel *m = netc_open(in_root("m.so"), weights ? in_root(weights) : NULL, 2, NETC_CPU, error);
  if (!m) fail_msg("%s", error);
  return m;
}

static float *noise(int64_t n, uint32_t seed) {
  float *x = malloc((size_t)n * sizeof *x);
  assert_non_null(x);
  for (int64_t i = 0; i < n; i++) {
    seed = seed * 1664525u + 1013904223u;
    x[i] = (float)(seed >> 8) * 0x1p-23f - 1;
  }
  return x;
}

/* Row-major floats of rank 4 as a .npy file; and the elements of one. */
static void npy_put(const char *name, const float *x, const int *dim) {
  char head[128];
  int n = snprintf(head, sizeof head, "{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d, %d, %d), }",
                   dim[0], dim[1], dim[2], dim[3]);
  FILE *f = fopen(in_root(name), "w");
  assert_non_null(f);
  fwrite("\x93NUMPY\x01\x00\x76\x00", 1, 10, f);
  fprintf(f, "%-117.*s\n", n, head);
  fwrite(x, sizeof *x, (size_t)dim[0] * (size_t)dim[1] * (size_t)dim[2] * (size_t)dim[3], f);
  assert_int_equal(fclose(f), 0);
}

static float *npy_get(const char *name, size_t count) {
  unsigned char head[10];
  FILE *f = fopen(in_root(name), "r");
  assert_non_null(f);
  float *x = malloc(count * sizeof *x);
  assert_int_equal(fread(head, 1, sizeof head, f), sizeof head);
  assert_int_equal(fseek(f, 10 + head[8] + 256 * head[9], SEEK_SET), 0);
  assert_int_equal(fread(x, sizeof *x, count, f), count);
  fclose(f);
  return x;
}

static float *scores_of(NetcModel *m, const float *image) {
  char error[NETC_ERROR_MAX] = "";
  float *scores = malloc(CLASSES * PIXELS * sizeof *scores);
  if (!netc_run(m, "predict", (const void *[]){image}, (void *[]){scores}, error)) fail_msg("%s", error);
  return scores;
}

/* The bits of netrun exec. */
TEST(it_computes_the_bits_of_netrun) {
  float *x = noise(PIXELS, 1);
  npy_put("x.npy", x, (const int[]){1, 1, SIZE, SIZE});
  runs("%s exec m.so predict --weights run/last.safetensors --in image=x.npy --out got", NETRUN_BINARY);
  float *want = npy_get("got/prob.npy", CLASSES * PIXELS);
  NetcModel *m = opened("run/last.safetensors");
  float *have = scores_of(m, x);
  assert_memory_equal(have, want, CLASSES * PIXELS * sizeof *have);
  netc_close(m);
  free(x), free(want), free(have);
}

TEST(it_says_what_functions_take) {
  NetcModel *m = opened(NULL);
  NetcValue in[2], out[2];
  int classes, channels;
  int64_t size[3];
  assert_int_equal(netc_shape(m, &classes, &channels, size), 2);
  assert_true(classes == CLASSES && channels == 1 && size[0] == SIZE && size[1] == SIZE);
  assert_int_equal(netc_inputs(m, "predict", in, 2), 1);
  assert_string_equal(in[0].name, "image");
  assert_true(!in[0].integer && in[0].rank == 4 && in[0].dim[3] == SIZE && in[0].count == PIXELS);
  assert_int_equal(netc_inputs(m, "twice", in, 1), 2); /* one is written */
  assert_int_equal(netc_inputs(m, "t", in, 2), -1);    /* training is netrun's */
  assert_int_equal(netc_outputs(m, "twice", out, 2), 2);
  assert_true(out[1].integer && out[1].rank == 4 && out[1].count == 6);
  netc_close(m);
}

TEST(it_runs_functions_that_are_not_predict) {
  char error[NETC_ERROR_MAX] = "";
  NetcModel *m = opened(NULL);
  const float x[6] = {1, 2, 3, 4, 5, 6};
  const int32_t y[6] = {5, 4, 3, 2, 1, 0};
  int32_t more[6];
  if (!netc_run(m, "twice", (const void *[]){x, y}, (void *[]){NULL, more}, error)) fail_msg("%s", error);
  for (int i = 0; i < 6; i++) assert_int_equal(more[i], y[i] + 1);
  assert_false(netc_run(m, "t", NULL, NULL, error));
  assert_non_null(strstr(error, "has no predict or forward function `t`"));
  netc_close(m);
}

static int largest(const float *scores, int pixels, int i) {
  int best = 0;
  for (int c = 1; c < CLASSES; c++)
    if (scores[c * pixels + i] > scores[best * pixels + i]) best = c;
  return best;
}

TEST(it_segments_an_image_of_the_modules_size) {
  char error[NETC_ERROR_MAX] = "";
  uint8_t mask[PIXELS];
  NetcModel *m = opened("run/last.safetensors");
  float *x = noise(PIXELS, 2), *scores = scores_of(m, x);
  assert_true(netc_segment(m, x, (const int64_t[]){SIZE, SIZE}, mask, error));
  for (int i = 0; i < PIXELS; i++) assert_int_equal(mask[i], largest(scores, PIXELS, i));
  netc_close(m);
  free(x), free(scores);
}

/* 48x40: windows at 0 and 16, at 0 and 8. */
TEST(it_segments_a_larger_image_by_windows) {
  enum { H = 48, W = 40 };
  char error[NETC_ERROR_MAX] = "";
  uint8_t mask[H * W];
  NetcModel *m = opened("run/last.safetensors");
  float *x = noise(H * W, 3), *sum = calloc(CLASSES * H * W, sizeof *sum), window[PIXELS];
  for (int k = 0; k < 4; k++) {
    int top = k / 2 * 16, left = k % 2 * 8;
    for (int i = 0; i < PIXELS; i++) window[i] = x[(top + i / SIZE) * W + left + i % SIZE];
    float *scores = scores_of(m, window);
    for (int i = 0; i < CLASSES * PIXELS; i++)
      sum[i / PIXELS * H * W + (top + i % PIXELS / SIZE) * W + left + i % SIZE] += scores[i];
    free(scores);
  }
  assert_true(netc_segment(m, x, (const int64_t[]){H, W}, mask, error));
  for (int i = 0; i < H * W; i++) assert_int_equal(mask[i], largest(sum, H * W, i));
  assert_false(netc_segment(m, x, (const int64_t[]){H, 0}, mask, error));
  assert_non_null(strstr(error, "extent 1 of the image is 0"));
  netc_close(m);
  free(x), free(sum);
}

static void *in_a_thread(void *image) {
  NetcModel *m = opened("run/last.safetensors");
  float *scores = NULL;
  for (int i = 0; i < 10; i++) {
    free(scores);
    scores = scores_of(m, image);
  }
  netc_close(m);
  return scores;
}

/* Models side by side do not disturb each other. */
TEST(models_side_by_side_do_not_disturb_each_other) {
  pthread_t thread[3];
  void *scores[3];
  float *x = noise(PIXELS, 4);
  for (int i = 0; i < 3; i++) assert_int_equal(pthread_create(&thread[i], NULL, in_a_thread, x), 0);
  for (int i = 0; i < 3; i++) assert_int_equal(pthread_join(thread[i], &scores[i]), 0);
  for (int i = 1; i < 3; i++) assert_memory_equal(scores[0], scores[i], CLASSES * PIXELS * sizeof(float));
  for (int i = 0; i < 3; i++) free(scores[i]);
  free(x);
}

static void refuses(const char *module, const char *weights, int device, const char *text) {
  char error[NETC_ERROR_MAX] = "";
  assert_null(netc_open(in_root(module), weights ? in_root(weights) : NULL, 0, device, error));
  if (!strstr(error, text)) fail_msg("expected `%s` in: %s", text, error);
}

TEST(it_says_what_is_wrong) {
  refuses("none.so", NULL, NETC_CPU, "cannot open module");
  refuses("m.net", NULL, NETC_CPU, "is not a module");
  refuses("m.so", "none.safetensors", NETC_CPU, "none.safetensors");
  refuses("m.so", "m.so", NETC_CPU, "m.so");
  refuses("m.so", NULL, 0, "has no code for GPUs");
  runs("sed 's/8, 16/8, 24/' m.net >wide.net && %s wide.net -o wide.so", NETC_BINARY);
  refuses("wide.so", "run/last.safetensors", NETC_CPU, "holds weights of another network");
  netc_close(NULL);
}

/* docs/library.md: the program compiles, with warnings as errors, and runs. */
TEST(the_example_of_the_page_compiles_and_runs) {
  runs("awk '/^```c$/ {on = 1; next} /^```$/ {on = 0} on' %s/docs/library.md >segment.c", source);
  runs("cc -std=c17 -Wall -Wextra -Wpedantic -Werror " SANITIZERS
       " -I %s/runtime/embed segment.c -o segment %s",
       source, LIBNETC);
  runs("LD_LIBRARY_PATH=$(dirname %s) ./segment m.so run/last.safetensors", LIBNETC);
  says(" of 1024, 3 classes\n");
  assert_int_equal(sh("LD_LIBRARY_PATH=$(dirname %s) ./segment m.so none.safetensors", LIBNETC), 1);
  says("none.safetensors");
}

/* A program that links it gets these names and no others, and needs no library of netrun's data formats. */
TEST(it_exports_what_the_header_says) {
  runs("nm -D --defined-only %s | awk '$2 != \"A\" {print $3}' | sort | tr '\\n' ' '", LIBNETC);
  assert_string_equal(said,
                      "netc_close netc_inputs netc_open netc_outputs netc_run netc_segment netc_shape ");
  runs("readelf -d %s | grep NEEDED", LIBNETC);
  assert_null(strstr(said, "hdf5"));
  assert_null(strstr(said, "cairo"));
  assert_null(strstr(said, "libpng"));
}

RUN_TESTS(set_up, scratch_tear_down)
