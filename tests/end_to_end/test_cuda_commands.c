/* test_cuda_commands.c - netrun --device cuda:0 on a machine without a GPU: real modules, a fake driver
 * (tests/runtime/fake_cuda.c), and the modules' own kernels for GPUs compiled for this machine (emulated.c).
 * Losses are those of the host but for rounding; every run gives the same bits, with graphs and without. */
#include "tests/test.h"
#include "tests/end_to_end/shell.h"
#include <math.h>
#include "runtime/session/checkpoint.h"
#include "runtime/io/npy.h"
#include "runtime/io/picture.h"

#define OPTIONS   "size=[16,16] widths=[4,8] batch=2 predict_batch=3 tf32=off"
#define D_OPTIONS "-D size=[16,16] -D widths=[4,8] -D batch=2 -D predict_batch=3 -D tf32=off"
#define TRAIN(name)                                                                                          \
  NETRUN_BINARY " train " name ".so --data phantom --labeled 50%% --seed 5 --iterations 3 --threads 1 "
#define CUDA "--device cuda:0 "

FIXTURE(set_up) {
  if (shell_set_up(state)) return -1;
  setenv("NETRUN_LIBCUDA", TEST_FAKES "/fake_cuda.so", 1);
  setenv("FAKE_CUDA_KERNELS", in_root("emulated.so"), 1);
  if (sh(NETC_BINARY " %s/models/mean_teacher.net -o m.so " D_OPTIONS " --target host,ptx --no-grads",
         source) ||
      sh(EMULATED_BINARY " %s/models/mean_teacher.net emulated.so " OPTIONS, source) ||
      sh(TRAIN("m") "--out cpu"))
    return fprintf(stderr, "%s", said), -1;
  return 0;
}

/* Columns of two metrics.csv agree to `tolerance`, relative; returns the number of values. */
static int compare_losses(const char *a, const char *b, double tolerance) {
  FILE *f = fopen(in_root(a), "r"), *g = fopen(in_root(b), "r");
  char x[1024], y[1024];
  int n = 0;
  assert_true(f && g);
  assert_true(fgets(x, sizeof x, f) && fgets(y, sizeof y, g));
  assert_string_equal(x, y);
  while (fgets(x, sizeof x, f)) {
    assert_non_null(fgets(y, sizeof y, g));
    char *p = x, *q = y;
    for (; *p && *p != '\n'; n++) {
      double u = strtod(p, &p), v = strtod(q, &q);
      if (!(fabs(u - v) <= tolerance * (1e-3 + fabs(u)))) fail_msg("%s: %.9g, %s: %.9g", a, u, b, v);
      p += *p == ',', q += *q == ',';
    }
  }
  assert_null(fgets(y, sizeof y, g));
  fclose(f), fclose(g);
  return n;
}

static void same_run(const char *a, const char *b) {
  runs("cmp %s/last.safetensors %s/last.safetensors && cmp %s/metrics.csv %s/metrics.csv", a, b, a, b);
}

TEST(training_has_the_losses_of_the_host) {
  runs("FAKE_CUDA_LOG=log " TRAIN("m") CUDA "--out gpu");
  assert_true(compare_losses("cpu/metrics.csv", "gpu/metrics.csv", 1e-4) >= 6);
  runs("grep -q 'cuGraphLaunch 3' log && ! grep leak log");
  runs(TRAIN("m") CUDA "--out again");
  same_run("gpu", "again");
  runs("NETRUN_LIBCUDA=%s/fake_cuda_plain.so " TRAIN("m") CUDA "--out plain", TEST_FAKES);
  same_run("gpu", "plain");
  assert_int_equal(sh("cmp cpu/last.safetensors gpu/last.safetensors"), 1); /* it was other code that ran */
}

static long counted(const char *log, const char *name) {
  char line[128];
  long n = 0;
  FILE *f = fopen(in_root(log), "r");
  assert_non_null(f);
  while (fgets(line, sizeof line, f))
    if (!strncmp(line, name, strlen(name)) && line[strlen(name)] == ' ') n = atol(line + strlen(name));
  fclose(f);
  return n;
}

/* Batches made on the device, of images that it keeps: the same bits as with batches from the host, whether
 * all images find room or some. */
TEST(batches_made_on_the_device_have_the_same_bits) {
  runs("FAKE_CUDA_LOG=log_all " TRAIN("m") CUDA "--out images");
  assert_non_null(strstr(said, "for images"));
  runs("NETRUN_GPU_CACHE_MB=0 FAKE_CUDA_LOG=log_none " TRAIN("m") CUDA "--out no_images");
  assert_non_null(strstr(said, "0.0 of 0.0 for images"));
  same_run("images", "no_images");
  runs("FAKE_CUDA_PAGEABLE=1 " TRAIN("m") CUDA "--out late");
  same_run("images", "late");
  long fills = counted("log_all", "cuLaunchKernel") - counted("log_none", "cuLaunchKernel");
  assert_int_equal(fills, 3 * 3); /* two images and a label in each of three iterations */
  runs(NETRUN_BINARY " info m.so");
  const char *arena = strstr(said, "texts, arena ");
  assert_non_null(arena);
  long bytes =
      atol(arena + strlen("texts, arena ")) + 40000; /* a quarter of what that leaves is room for a few */
  runs("FAKE_CUDA_LOG=log_some FAKE_CUDA_MEMORY=%ld " TRAIN("m") CUDA "--out some_images", bytes);
  same_run("images", "some_images");
  assert_int_equal(counted("log_some", "cuLaunchKernel"), counted("log_all", "cuLaunchKernel"));
  /* An unlabelled image without room comes without its label: fewer copies, but not none. */
  assert_true(counted("log_some", "cuMemcpyHtoDAsync") < counted("log_all", "cuMemcpyHtoDAsync"));
  assert_true(counted("log_some", "cuMemcpyHtoDAsync") > counted("log_none", "cuMemcpyHtoDAsync"));
  runs("! grep leak log_all log_none log_some");
  fails("NETRUN_GPU_CACHE_MB is `many`", "NETRUN_GPU_CACHE_MB=many " TRAIN("m") CUDA "--out x");
  runs("rm -r x");
}

/* Calls of the driver fail, of those that making batches takes the first, some in between and the last. */
TEST(a_driver_call_that_fails_while_batches_are_made_is_told) {
  static const char *const calls[] = {"cuMemGetInfo",       "cuMemAlloc",         "cuMemHostAlloc",
                                      "cuMemcpyHtoDAsync",  "cuLaunchKernel",     "cuEventRecord",
                                      "cuEventSynchronize", "cuModuleLoadDataEx", "cuModuleGetFunction"};
  runs("FAKE_CUDA_LOG=log_calls " NETRUN_BINARY " train m.so --data phantom --iterations 1 " CUDA
       "--out once");
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
    long n = counted("log_calls", calls[i]);
    assert_true(n > 0);
    for (int at = 0; at < 3; at++) {
      long number = at == 0 ? 1 : at == 1 ? (n + 1) / 2 : n;
      char setting[512];
      snprintf(setting, sizeof setting,
               "FAKE_CUDA_FAIL=%s:%ld:1 " NETRUN_BINARY
               " train m.so --data phantom --iterations 1 --force " CUDA "--out failing",
               calls[i], number);
      fails(calls[i], "%s", setting);
      assert_non_null(strstr(said, "CUDA_ERROR_INVALID_VALUE"));
    }
  }
  /* A kernel that makes a batch has a fault. */
  fails("CUDA_ERROR_ILLEGAL_ADDRESS",
        "FAKE_CUDA_FAIL=cuLaunchKernel:1:700 " NETRUN_BINARY
        " train m.so --data phantom --iterations 1 --force " CUDA "--out failing");
}

TEST(a_resumed_run_has_the_bits_of_a_whole_one) {
  runs(NETRUN_BINARY " train m.so --data phantom --labeled 50%% --seed 5 --iterations 1 " CUDA
                     "--out halves");
  runs(NETRUN_BINARY " train m.so --data phantom --resume --iterations 3 " CUDA "--out halves");
  runs(TRAIN("m") CUDA "--out whole");
  runs("cmp halves/metrics.csv whole/metrics.csv");
}

/* Scores and masks do not hang on the last bits. */
TEST(scores_and_masks_are_those_of_the_host) {
  runs(NETRUN_BINARY " eval m.so --data phantom --weights cpu/last.safetensors --out e_cpu");
  runs(NETRUN_BINARY " eval m.so --data phantom --weights cpu/last.safetensors --out e_gpu " CUDA);
  runs("cut -d, -f1-3 e_cpu/eval.csv > a && cut -d, -f1-3 e_gpu/eval.csv > b && cmp a b");
  uint8_t image[16 * 16];
  char err[ERR_MAX];
  for (int i = 0; i < 16 * 16; i++) image[i] = (uint8_t)(i * 37 % 256);
  if (!png_write_gray(in_root("image.png"), image, 16, 16, err)) fail_msg("%s", err);
  runs(NETRUN_BINARY " predict m.so --weights cpu/last.safetensors --in image.png --out cpu.png");
  runs(NETRUN_BINARY " predict m.so --weights cpu/last.safetensors --in image.png --out gpu.png " CUDA);
  runs("cmp cpu.png gpu.png");
}

/* Every output of predict as it comes from the device. */
TEST(every_output_comes_from_the_device) {
  float *image = malloc(3 * 16 * 16 * sizeof *image);
  for (int i = 0; i < 3 * 16 * 16; i++) image[i] = (float)(i * 37 % 101) / 50 - 1;
  char err[ERR_MAX];
  assert_true(npy_write(in_root("x.npy"), NPY_F4, 4, (int64_t[]){3, 1, 16, 16}, image, err));
  free(image);
  runs(NETRUN_BINARY " exec m.so predict --in image=x.npy --weights cpu/last.safetensors --out x_cpu");
  runs(NETRUN_BINARY " exec m.so predict --in image=x.npy --weights cpu/last.safetensors --out x_gpu " CUDA);
  runs("ls x_cpu/*.npy > names && for n in $(cat names); do test -s x_gpu/$(basename $n) || exit 1; done");
  Npy a, b;
  FILE *names = fopen(in_root("names"), "r");
  char name[128], other[160];
  assert_non_null(names);
  while (fscanf(names, "x_cpu/%127s ", name) == 1) {
    snprintf(other, sizeof other, "x_cpu/%s", name);
    if (!npy_read(in_root(other), &a, err)) fail_msg("%s", err);
    snprintf(other, sizeof other, "x_gpu/%s", name);
    if (!npy_read(in_root(other), &b, err)) fail_msg("%s", err);
    assert_int_equal(a.count, b.count);
    for (int64_t i = 0; i < a.count; i++) assert_true(fabs(npy_value(&a, i) - npy_value(&b, i)) < 1e-4);
    npy_free(&a), npy_free(&b);
  }
  fclose(names);
}

TEST(info_and_bench_tell_of_the_device) {
  runs(NETRUN_BINARY " info --device cuda:0");
  assert_non_null(strstr(said, "cuda:0: Fake GPU"));
  assert_non_null(strstr(said, "compute capability  9.0"));
  runs(NETRUN_BINARY " info m.so --device cuda:0");
  assert_non_null(strstr(said, "sm_75    40       0"));
  runs(NETRUN_BINARY " bench m.so " CUDA "--iterations 1 --json");
  assert_non_null(strstr(said, "\"device\":\t\"cuda:0 (Fake GPU)\""));
}

/* The same with what a module does unless told otherwise: on tensor cores, whose operands are rounded. */
TEST(training_on_tensor_cores_has_the_losses_of_the_host) {
  runs(NETC_BINARY " %s/models/mean_teacher.net -o t.so -D size=[16,16] -D widths=[4,8] -D batch=2 --target "
                   "host,ptx --no-grads",
       source);
  runs(EMULATED_BINARY " %s/models/mean_teacher.net tensor.so size=[16,16] widths=[4,8] batch=2", source);
  runs(TRAIN("t") "--out t_cpu");
  runs("FAKE_CUDA_KERNELS=$PWD/tensor.so " TRAIN("t") CUDA "--out t_gpu");
  assert_true(compare_losses("t_cpu/metrics.csv", "t_gpu/metrics.csv", 1e-2) >= 6);
  runs("FAKE_CUDA_KERNELS=$PWD/tensor.so " NETRUN_BINARY " info t.so --device cuda:0");
  assert_non_null(strstr(said, "sm_80"));
}

TEST(what_a_device_cannot_do_is_refused) {
  fails("there is no cuda:1: this machine has 1 NVIDIA GPU", TRAIN("m") "--device cuda:1 --out x");
  fails("--device is `gpu`; it can be cpu, cuda:0", TRAIN("m") "--device gpu --out x");
  fails("no NVIDIA driver: nothing.so", "NETRUN_LIBCUDA=nothing.so " TRAIN("m") CUDA "--out x");
  fails("the arena of", "FAKE_CUDA_MEMORY=100000 " TRAIN("m") CUDA "--out x");
  fails("--scaling is about threads of the host", NETRUN_BINARY " bench m.so --scaling " CUDA);
  fails("usage: netrun info MODULE", NETRUN_BINARY " info");
  assert_int_equal(sh("test -e x"), 1); /* no run was begun */
}

RUN_TESTS(set_up, scratch_tear_down)
