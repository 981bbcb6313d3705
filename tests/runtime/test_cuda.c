/* test_cuda.c - the GPU's side of the runtime on the fake driver (fake_cuda.c): what a person sees when
 * something is wrong, and that runs there are runs. The toy module's kernels for GPUs are the same C
 * functions as the host's, so results are the same bits. */
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/test.h"
#include "runtime/device/open.h"
#include "ir/philox.h"
#include "runtime/bench/report.h"
#include "runtime/device/gpu.h"
#include "runtime/predict/predictor.h"
#include "runtime/train/train.h"

#include "tests/scratch.h"

#define TOY    TEST_MODULES "/toy_gpu.so"
#define NO_PTX TEST_MODULES "/toy.so"
#define GRAPHS TEST_MODULES "/fake_cuda.so"
#define PLAIN  TEST_MODULES "/fake_cuda_plain.so"
enum { PIXELS = 256 };

static char err[ERR_MAX];

FIXTURE(set_up) {
  setenv("FAKE_CUDA_KERNELS", TOY, 1);
  return scratch_set_up(state);
}

/* ---- the same data as test_train.c ---- */

typedef struct {
  volatile sig_atomic_t stop;
  uint64_t stop_at;
  uint64_t stop_in, nan_in; /* iterations + 1 whose batch, once it is read, asks for a stop; holds a NaN */
} Host;

static bool batch(void *user, int stream, uint64_t iteration, void *const *dst, char why[ERR_MAX]) {
  Host *h = user;
  (void)stream, (void)why;
  if (iteration + 1 == h->stop_in) h->stop = 1;
  for (int i = 0; i < 4 * PIXELS; i++) {
    float x = philox_uniform(11, iteration, 0, (uint64_t)i);
    ((float *)dst[0])[i] = x;
    ((int32_t *)dst[1])[i] = x > 0.5f;
  }
  if (iteration + 1 == h->nan_in) *(float *)dst[0] = NAN;
  return true;
}

static bool eval(void *user, uint64_t done, double *score, char why[ERR_MAX]) {
  Host *h = user;
  (void)score, (void)why;
  if (done == h->stop_at) h->stop = 1;
  return true;
}

static const char *train(const char *name, int gpu, TrainOptions o, Host *h) {
  Module *m = module_open(TOY, err);
  Session *s = m ? session_on(m, 2, gpu, err) : NULL;
  if (s) {
    o.fn = module_fn(m, "toy"), o.out = in_root(name), o.batch = batch, o.user = h, o.stop = &h->stop;
    o.epoch_iterations = m->desc->epoch_iterations;
    if (h->stop_at) o.eval = eval, o.eval_every = 1;
    if (!o.iterations) o.iterations = m->desc->max_iterations;
    if (train_run(s, &o, err)) err[0] = '\0';
  }
  session_free(s);
  module_close(m);
  return err;
}

static void same_file(const char *a, const char *b) {
  Bytes x, y;
  if (!file_map(in_root(a), &x, err) || !file_map(in_root(b), &y, err)) fail_msg("%s", err);
  assert_int_equal(x.size, y.size);
  assert_memory_equal(x.data, y.data, x.size);
  file_unmap(&x), file_unmap(&y);
}

static void same_run(const char *a, const char *b) {
  char x[64], y[64];
  snprintf(x, 64, "%s/last.safetensors", a), snprintf(y, 64, "%s/last.safetensors", b);
  same_file(x, y);
  snprintf(x, 64, "%s/metrics.csv", a), snprintf(y, 64, "%s/metrics.csv", b);
  same_file(x, y);
}

/* Runs `work` in a process of its own, where the driver is loaded anew with `setting` ("NAME=VALUE", may be
 * NULL). */
static int alone(const char *driver, const char *setting, int (*work)(void)) {
  pid_t child = fork();
  if (child == 0) {
    setenv("NETRUN_LIBCUDA", driver, 1);
    if (setting) putenv((char *)(uintptr_t)setting);
    _exit(work());
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static const char *said(const char *expected) {
  if (!strstr(err, expected)) fail_msg("expected `%s` in: %s", expected, err);
  return err;
}

/* The error of opening a session under such a driver. */
static const char *expected_text;
static int open_fails(void) {
  Module *m = module_open(TOY, err);
  Session *s = m ? session_on(m, 1, 0, err) : NULL;
  int found = !s && strstr(err, expected_text);
  if (!found) fprintf(stderr, "expected `%s`, got: %s\n", expected_text, s ? "a session" : err);
  session_free(s);
  module_close(m);
  return !found;
}

static int run_fails(void) {
  const char *message = train("failing", 0, (TrainOptions){.seed = 3, .force = true}, &(Host){0});
  int found = strstr(message, expected_text) != NULL;
  if (!found) fprintf(stderr, "expected `%s`, got: %s\n", expected_text, message);
  return !found;
}

static void fails(int (*work)(void), const char *driver, const char *setting, const char *text) {
  expected_text = text;
  if (alone(driver, setting, work))
    fail_msg("%s under %s does not say `%s`", driver, setting ? setting : "-", text);
}

/* ---- errors ---- */

TEST(an_unsuitable_driver_is_refused) {
  fails(open_fails, "/nowhere/libcuda.so.1", NULL, "no NVIDIA driver: /nowhere/libcuda.so.1");
  fails(open_fails, TOY, NULL, "is no NVIDIA driver library");
  fails(open_fails, GRAPHS, "FAKE_CUDA_VERSION=10020", "the NVIDIA driver is too old");
  fails(open_fails, GRAPHS, "FAKE_CUDA_VERSION=10020",
        "serves CUDA 10.2; CUDA 11.0 (driver 450) or newer is needed");
  fails(open_fails, GRAPHS, "FAKE_CUDA_DEVICES=0",
        "no NVIDIA GPU: cuInit: CUDA_ERROR_NO_DEVICE (100: no CUDA-capable");
  fails(open_fails, GRAPHS, "FAKE_CUDA_FAIL=cuInit:1:803",
        "does not start: cuInit: CUDA_ERROR_SYSTEM_DRIVER_MISMATCH");
}

static int third_device(void) {
  Gpu g;
  if (gpu_open(&g, 2, err)) return 2;
  return !strstr(err, "there is no cuda:2: this machine has 2 NVIDIA GPUs, cuda:0 and following");
}

TEST(an_unsuitable_device_is_refused) {
  assert_int_equal(alone(GRAPHS, "FAKE_CUDA_DEVICES=2", third_device), 0);
  fails(open_fails, GRAPHS, "FAKE_CUDA_CAPABILITY=70", "has compute capability 7.0");
  fails(open_fails, GRAPHS, "FAKE_CUDA_CAPABILITY=70", "has code from sm_75 on");
  fails(open_fails, GRAPHS, "NETRUN_CUDA_LAUNCH=fast",
        "NETRUN_CUDA_LAUNCH is `fast`; it can be graph, plain or checked");
}

static int family(int capability, int version, NetcSm newest, const NetcDeviceText *t) {
  return gpu_family(&(Gpu){.capability = capability, .api.version = version, .newest = newest}, t);
}

TEST(the_newest_code_that_the_device_runs_is_chosen) {
  NetcDeviceText two = {.ptx = {[NETC_SM_80] = "", [NETC_SM_90A] = ""}}, one = {.ptx = {[NETC_SM_75] = ""}};
  assert_int_equal(family(90, 12000, NETC_SM_90A, &two), NETC_SM_90A);
  assert_int_equal(family(90, 11080, NETC_SM_90A, &two), NETC_SM_80); /* does not read PTX 8.0 */
  assert_int_equal(family(90, 12000, NETC_SM_80, &two), NETC_SM_80);
  assert_int_equal(family(100, 12080, NETC_SM_90A, &two), NETC_SM_80);
  assert_int_equal(family(75, 12080, NETC_SM_90A, &two), -1);
  assert_int_equal(family(90, 12080, NETC_SM_90A, &one), NETC_SM_75);
  Gpu hopper = {.capability = 90, .api.version = 12000, .newest = NETC_SM_90A};
  NetcDeviceCode code = {.text = 0, .shared = 96 << 10};
  NetcDevice device = {.ntexts = 1, .texts = &two};
  assert_int_equal(gpu_shared(&hopper, &device, &code), 96 << 10);
  hopper.newest = NETC_SM_80;
  assert_int_equal(gpu_shared(&hopper, &device, &code), 0);
  fails(open_fails, GRAPHS, "NETRUN_CUDA_FAMILY=sm_90",
        "NETRUN_CUDA_FAMILY is `sm_90`; it can be sm_75, sm_80 or sm_90a");
}

TEST(too_little_memory_is_told) {
  fails(run_fails, GRAPHS, "FAKE_CUDA_MEMORY=9000", "toy_gpu.so needs 2");
  fails(run_fails, GRAPHS, "FAKE_CUDA_MEMORY=9000", "on cuda:0 (Fake GPU), which has 0.00 of 0.00 GiB free");
  fails(run_fails, GRAPHS, "FAKE_CUDA_FAIL=cuMemAlloc:1:2",
        "free: end other programs there, or compile with a smaller");
  fails(run_fails, GRAPHS, "FAKE_CUDA_FAIL=cuMemHostAlloc:2:2", "copying to and from the GPU needs");
}

TEST(code_that_the_driver_refuses_is_told) {
  fails(run_fails, GRAPHS, "FAKE_CUDA_FAIL=cuModuleLoadDataEx:2:218", "CUDA_ERROR_INVALID_PTX");
  fails(run_fails, GRAPHS, "FAKE_CUDA_FAIL=cuModuleLoadDataEx:1:218",
        "line 9; fatal   : Parsing error near '.nonsense'");
  fails(run_fails, GRAPHS, "FAKE_CUDA_FAIL=cuModuleLoadDataEx:1:222", "it serves CUDA 12.4, and toy_");
  fails(run_fails, GRAPHS, "FAKE_CUDA_FAIL=cuModuleLoadDataEx:1:222", "is PTX 6.3: update it");
  Module *m = module_open(NO_PTX, err);
  setenv("NETRUN_LIBCUDA", GRAPHS, 1);
  assert_null(session_on(m, 1, 0, err));
  said("toy.so has no code for GPUs: compile it with `netc toy_module.c --target host,ptx");
  module_close(m);
}

/* Every call of a training run that can fail, failing: the run ends with a message that names it, and nothing
 * crashes. */
TEST(any_call_that_fails_ends_the_run_with_its_name) {
  static const char *const calls[] = {
      "cuDeviceGetCount",     "cuDeviceGetAttribute", "cuDevicePrimaryCtxRetain",
      "cuStreamCreate",       "cuEventCreate",        "cuMemGetInfo",
      "cuMemAlloc",           "cuMemsetD8Async",      "cuModuleLoadDataEx",
      "cuModuleGetFunction",  "cuMemHostAlloc",       "cuMemcpyHtoDAsync",
      "cuEventRecord",        "cuStreamSynchronize",  "cuStreamWaitEvent",
      "cuEventSynchronize",   "cuMemcpyDtoDAsync",    "cuMemcpyDtoHAsync",
      "cuStreamBeginCapture", "cuStreamEndCapture",   "cuGraphInstantiate",
      "cuGraphLaunch",        "cuLaunchKernel"};
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
    for (int n = 1; n <= 2; n++) {
      char setting[96];
      bool once = !strcmp(calls[i], "cuDeviceGetCount") || !strcmp(calls[i], "cuDevicePrimaryCtxRetain") ||
                  !strcmp(calls[i], "cuMemsetD8Async") || !strncmp(calls[i], "cuGraphInst", 11) ||
                  strstr(calls[i], "Capture");
      if (once && n > 1) continue;
      snprintf(setting, sizeof setting, "FAKE_CUDA_FAIL=%s:%d:1", calls[i], n);
      fails(run_fails, GRAPHS, setting, "CUDA_ERROR_INVALID_VALUE (1: invalid argument)");
      fails(run_fails, GRAPHS, setting, calls[i]);
    }
}

TEST(a_fault_is_told_and_can_be_located) {
  fails(run_fails, GRAPHS, "FAKE_CUDA_FAIL=cuLaunchKernel:2:700",
        "cuEventSynchronize: CUDA_ERROR_ILLEGAL_ADDRESS");
  fails(run_fails, GRAPHS, "FAKE_CUDA_FAIL=cuLaunchKernel:2:700",
        "NETRUN_CUDA_LAUNCH=checked runs them one by one");
  setenv("NETRUN_CUDA_LAUNCH", "checked", 1);
  fails(run_fails, GRAPHS, "FAKE_CUDA_FAIL=cuLaunchKernel:5:719",
        "launch 1 of toy failed (kernel gpu:total, blocks/pixel.net:3): cuStreamSynchronize: "
        "CUDA_ERROR_LAUNCH_FAILED");
  unsetenv("NETRUN_CUDA_LAUNCH");
}

/* ---- runs ---- */

static int trains(void) {
  const char *message = train("gpu", 0, (TrainOptions){.seed = 3, .force = true}, &(Host){0});
  return *message ? fprintf(stderr, "%s\n", message), 1 : 0;
}

static int calls_in_log(const char *name) {
  char line[128];
  int n = 0;
  FILE *f = fopen(in_root("log"), "r");
  if (!f) return -1;
  while (fgets(line, sizeof line, f))
    if (strncmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ' ') n = atoi(line + strlen(name));
  fclose(f);
  return n;
}

/* A fresh log for every run; the setting for the child names it. */
static const char *new_log(void) {
  static char setting[160];
  unlink(in_root("log"));
  snprintf(setting, sizeof setting, "FAKE_CUDA_LOG=%s", in_root("log"));
  return setting;
}

TEST(training_has_the_bits_of_the_host) {
  assert_string_equal(train("cpu", ON_HOST, (TrainOptions){.seed = 3}, &(Host){0}), "");
  assert_int_equal(alone(GRAPHS, new_log(), trains), 0);
  same_run("cpu", "gpu");
  assert_int_equal(calls_in_log("cuGraphLaunch"),
                   12); /* one iteration is one launch; its kernels were named once */
  assert_int_equal(calls_in_log("cuLaunchKernel"), 3);
  assert_true(calls_in_log("work-left") >= 11); /* all but the last were logged while the next one ran */
  assert_int_equal(calls_in_log("cuDevicePrimaryCtxRelease"), 1);
  assert_int_equal(calls_in_log("leak"), 0);
  assert_int_equal(alone(PLAIN, new_log(), trains), 0); /* a driver without graphs */
  same_run("cpu", "gpu");
  assert_int_equal(calls_in_log("cuGraphLaunch"), 0);
  assert_int_equal(calls_in_log("cuLaunchKernel"), 36);
  assert_int_equal(calls_in_log("leak"), 0);
  setenv("NETRUN_CUDA_LAUNCH", "checked", 1);
  assert_int_equal(alone(GRAPHS, new_log(), trains), 0);
  unsetenv("NETRUN_CUDA_LAUNCH");
  same_run("cpu", "gpu");
  assert_int_equal(calls_in_log("cuGraphLaunch"), 0);
}

static int stops_and_resumes(void) {
  TrainOptions o = {.seed = 3};
  if (*train("halves", 0, o, &(Host){.stop_at = 5})) return 1;
  o.resume = true;
  if (*train("halves", 0, o, &(Host){.stop_at = 8})) return 2;
  return *train("halves", ON_HOST, o, &(Host){0}) ? 3 : 0; /* and across devices */
}

TEST(a_resumed_run_has_the_bits_of_a_whole_one) {
  assert_string_equal(train("whole", ON_HOST, (TrainOptions){.seed = 3}, &(Host){0}), "");
  assert_int_equal(alone(GRAPHS, NULL, stops_and_resumes), 0);
  same_run("whole", "halves");
}

/* A stop may come at any time, and what goes wrong is found when later iterations have begun: the checkpoint
 * is always that of its iteration, and going on gives what an undisturbed run gives. */
static int goes_on(void) {
  TrainOptions o = {.seed = 3, .save_every = 4};
  if (*train("anyhow", 0, o, &(Host){.stop_in = 7})) return 1;
  o.resume = true;
  const char *message = train("anyhow", 0, o, &(Host){.nan_in = 11});
  if (!strstr(message, "is not a number (NaN) in iteration 11") ||
      !strstr(message, "holds the state after 8 iterations"))
    return fprintf(stderr, "%s\n", message), 2;
  return *train("anyhow", 0, o, &(Host){0}) ? 3 : 0;
}

TEST(a_host_that_runs_ahead_changes_nothing) {
  assert_string_equal(train("straight", ON_HOST, (TrainOptions){.seed = 3}, &(Host){0}), "");
  assert_int_equal(alone(GRAPHS, new_log(), goes_on), 0);
  assert_true(calls_in_log("work-left") >= 1);
  same_run("straight", "anyhow");
  assert_int_equal(alone(GRAPHS, "FAKE_CUDA_EAGER=1", trains),
                   0); /* a device that is ahead of the host wherever it may be */
  same_run("straight", "gpu");
}

/* predict is prepared first, in a small arena; training then asks for a larger one, and the variables move
 * with it. */
static int predicts(void) {
  Module *m = module_open(TOY, err);
  Session *s = m ? session_on(m, 1, 0, err) : NULL;
  Session *h = m ? session_new(m, 1, err) : NULL;
  Predictor p, q;
  float image[3 * PIXELS];
  uint8_t a[3 * PIXELS], b[3 * PIXELS];
  for (int i = 0; i < 3 * PIXELS; i++) image[i] = (float)(i * 37 % 101) / 101;
  if (!s || !h || !predictor_new(&p, s, err) || !predictor_new(&q, h, err)) return 1;
  session_init(s, 5), session_init(h, 5);
  const NetcFn *f = module_fn(m, "toy");
  for (uint64_t t = 0; t < 3; t++) {
    if (!predictor_slices(&p, image, 3, a, err) || !predictor_slices(&q, image, 3, b, err)) return 2;
    if (memcmp(a, b, sizeof a) != 0) return 3;
    bench_fill(s, f, t), bench_fill(h, f, t);
    if (!fn_run(s, f, (NetcStep){5, t}, err) || !fn_run(h, f, (NetcStep){5, t}, err)) return 4;
    for (int i = 0; i < f->noutputs; i++)
      if (memcmp(session_at(s, &f->outputs[i]), session_at(h, &f->outputs[i]), 4) != 0) return 5;
  }
  if (!vars_download(s, err) || memcmp(s->arena, h->arena, (size_t)m->desc->variable_bytes) != 0) return 6;
  predictor_free(&p), predictor_free(&q);
  session_free(s), session_free(h);
  module_close(m);
  return 0;
}

TEST(predictions_are_those_of_the_host) {
  assert_int_equal(alone(GRAPHS, new_log(), predicts), 0);
  assert_int_equal(calls_in_log("leak"), 0);
  assert_int_equal(alone(PLAIN, NULL, predicts), 0);
}

/* Two sessions at a time, of two modules' handles, do not disturb each other. */
static int two_sessions(void) {
  Module *m = module_open(TOY, err);
  Session *s[2] = {session_on(m, 1, 0, err), session_on(m, 1, 0, err)};
  const NetcFn *f = module_fn(m, "toy");
  for (int k = 0; k < 2; k++) session_init(s[k], (uint64_t)k);
  for (uint64_t t = 0; t < 2; t++)
    for (int k = 0; k < 2; k++) {
      bench_fill(s[k], f, t);
      if (!fn_run(s[k], f, (NetcStep){(uint64_t)k, t}, err)) return 1;
    }
  session_free(s[0]);
  bench_fill(s[1], f, 2);
  if (!fn_run(s[1], f, (NetcStep){1, 2}, err) || !vars_download(s[1], err)) return 2;
  Session *h = session_new(m, 1, err);
  session_init(h, 1);
  for (uint64_t t = 0; t < 3; t++) {
    bench_fill(h, f, t);
    if (!fn_run(h, f, (NetcStep){1, t}, err)) return 3;
  }
  int differ = memcmp(s[1]->arena, h->arena, (size_t)m->desc->variable_bytes) != 0;
  session_free(s[1]), session_free(h);
  module_close(m);
  return differ ? 4 : 0;
}

TEST(two_sessions_do_not_disturb_each_other) {
  assert_int_equal(alone(GRAPHS, new_log(), two_sessions), 0);
  assert_int_equal(calls_in_log("leak"), 0);
}

/* Times of launches are the device's; kernels are the device's. */
static int benches(void) {
  Module *m = module_open(TOY, err);
  Session *s = session_on(m, 1, 0, err);
  Bench b;
  session_init(s, 0);
  if (!bench_run(s, module_fn(m, "toy"), 3, &b, err)) return 1;
  Rates machine = {.flops = 1e9, .bandwidth = 1e9};
  cJSON *j = bench_json(s, &b, &machine, 0, err);
  const cJSON *kernel = cJSON_GetArrayItem(cJSON_GetObjectItem(j, "kernels"), 0);
  bool ok = b.threads == 1 && b.plan->nlaunches == 3 && b.launch[1].wall > 0 &&
            fabs(b.launch[1].wall - b.launch[1].busy) < 2e-9 && kernel &&
            strncmp(cJSON_GetObjectItem(kernel, "name")->valuestring, "gpu:", 4) == 0 &&
            strcmp(cJSON_GetObjectItem(j, "device")->valuestring, "cuda:0 (Fake GPU)") == 0;
  cJSON_Delete(j);
  bench_free(&b);
  session_free(s);
  module_close(m);
  return ok ? 0 : 2;
}

TEST(bench_measures_the_device) { assert_int_equal(alone(GRAPHS, NULL, benches), 0); }

RUN_TESTS(set_up, scratch_tear_down)
