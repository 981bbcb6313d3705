/* test_commands.c - the whole road through the two programs: compile, train, stop, resume, evaluate, predict,
 * measure; the same bytes with one and two threads and after kill -9; and what a person sees when something
 * is wrong. */
#include "tests/test.h"
#include "tests/end_to_end/shell.h"
#include <cjson/cJSON.h>
#include <math.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include "runtime/session/checkpoint.h"
#include "runtime/io/npy.h"
#include "runtime/io/picture.h"
#include "runtime/io/format.h"

extern char **environ;

#define TRAIN NETRUN_BINARY " train m.so --data phantom --iterations 12 --seed 5 --save-every 3 "

FIXTURE(set_up) {
  if (shell_set_up(state)) return -1;
  if (sh(NETC_BINARY " %s/models/unet.net -o m.so --target portable -D size=[32,32] -D widths=[4,8] -D "
                     "batch=2 -D predict_batch=3 "
                     "-D epoch_iterations=5",
         source) ||
      sh(NETC_BINARY " %s/models/unet.net -o other.so -D size=[32,32] -D widths=[4,6] -D batch=2", source) ||
      sh(TRAIN "--threads 1 --out one"))
    return fprintf(stderr, "%s", said), -1;
  return 0;
}

static void same_run(const char *a, const char *b) {
  runs("cmp %s/last.safetensors %s/last.safetensors && cmp %s/metrics.csv %s/metrics.csv", a, b, a, b);
}

/* ---- training ---- */

TEST(the_bytes_are_the_same_for_any_number_of_threads) {
  runs(TRAIN "--threads 2 --out two");
  same_run("one", "two");
  runs(TRAIN "--threads 3 --out three"); /* more than there may be processors, and no divisor of the tasks */
  same_run("one", "three");
  runs(TRAIN "--threads 8 --out eight");
  same_run("one", "eight");
  runs("test -s one/curves.png -a -s one/timing.csv");
  runs("NETRUN_ISA=avx2 " TRAIN "--out other_isa"); /* other rounding, same road */
}

/* Killed when the first checkpoints are there; then resumed without saying again what it was. */
TEST(a_killed_run_resumes_to_the_same_bytes) {
  char dir[256], err[ERR_MAX];
  char *argv[] = {(char *)(uintptr_t)NETRUN_BINARY,
                  (char *)(uintptr_t) "train",
                  strdup(in_root("m.so")),
                  (char *)(uintptr_t) "--data=phantom",
                  (char *)(uintptr_t) "--iterations=100000",
                  (char *)(uintptr_t) "--seed=5",
                  (char *)(uintptr_t) "--save-every=1",
                  (char *)(uintptr_t) "--out",
                  dir,
                  NULL};
  snprintf(dir, sizeof dir, "%s", in_root("killed"));
  pid_t pid;
  posix_spawn_file_actions_t quiet;
  posix_spawn_file_actions_init(&quiet);
  posix_spawn_file_actions_addopen(&quiet, 2, "/dev/null", 1, 0);
  assert_int_equal(posix_spawn(&pid, NETRUN_BINARY, &quiet, NULL, argv, environ), 0);
  posix_spawn_file_actions_destroy(&quiet);
  Progress at = {.iteration = 0};
  while (!checkpoint_progress(in_root("killed/last.safetensors"), &at, err) || at.iteration < 3) {
    int status;
    assert_int_equal(waitpid(pid, &status, WNOHANG), 0); /* it runs on */
    usleep(1000);
  }
  kill(pid, SIGKILL);
  int status;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_true(checkpoint_progress(in_root("killed/last.safetensors"), &at, err));
  unsigned long long end = at.iteration + 5;
  runs(NETRUN_BINARY " train m.so --data phantom --resume --iterations %llu --out killed", end);
  runs(NETRUN_BINARY " train m.so --data phantom --seed 5 --iterations %llu --out calm --threads 1", end);
  same_run("calm", "killed");
  free(argv[2]);
}

/* SIGINT: the iteration at hand is finished and saved, exit status 0. */
TEST(an_interrupted_run_saves_and_ends_well) {
  runs(NETRUN_BINARY
       " train m.so --data phantom --seed 5 --iterations 100000 --out halt & "
       "while ! [ -s halt/metrics.csv ] || [ $(wc -l < halt/metrics.csv) -lt 4 ]; do sleep 0.02; done; "
       "kill -TERM $!; wait $!");
  says("go on with --resume");
  Progress at;
  char err[ERR_MAX];
  assert_true(checkpoint_progress(in_root("halt/last.safetensors"), &at, err));
  assert_true(at.iteration >= 3 && at.iteration < 100000);
}

TEST(evaluating_on_the_way_does_not_change_the_run) {
  runs(TRAIN "--out watched --eval-every 6 --eval-split test");
  /* looking does not change the run: the weights behind the header, which says that it was looked at */
  runs("weights() { tail -c +$((9 + $(od -An -tu8 -N8 $1/last.safetensors))) $1/last.safetensors; }; "
       "weights one >one.bin; weights watched >watched.bin; test $(wc -c <one.bin) -gt 1000 && "
       "cmp one.bin watched.bin && cmp one/metrics.csv watched/metrics.csv");
  runs("wc -l < watched/val.csv");
  says("3");
  fails("has no val images to validate on, only train (64) test (16)",
        TRAIN "--out watched2 --eval-every 6 --val none");
}

TEST(what_does_not_go_with_a_run_is_refused) {
  runs("cp -r one taken");
  fails("--resume", TRAIN "--out taken");
  same_run("one", "taken");
  fails("without --labeled, not with --labeled 10%", TRAIN "--out taken --resume --labeled 10%%");
  fails("--seed 5, not 6", NETRUN_BINARY " train m.so --data phantom --resume --seed 6 --out taken");
  fails("weights of another network", NETRUN_BINARY " train other.so --data phantom --resume --out taken");
  says("student.double_conv2");
  runs("head -c 3000 one/last.safetensors > taken/last.safetensors");
  fails("taken/last.safetensors is cut short", TRAIN "--out taken --resume");
  runs("cmp one/metrics.csv taken/metrics.csv");
  fails("unknown data set", NETRUN_BINARY " train m.so --data lid --out new");
  fails("NETRUN_DATA", "unset NETRUN_DATA; " NETRUN_BINARY " train m.so --data lits --out new");
  fails("No such file", TRAIN "--labeled list.txt --out new");
  fails("--device cpu", TRAIN "--device cuda:0 --out new");
  fails("is not a directory", TRAIN "--out m.so");
  fails("--data is missing", NETRUN_BINARY " train m.so --out new");
  runs("! test -e new");
}

/* A full disk, by a limit on the size of files: what was there stays. */
TEST(a_full_disk_leaves_what_was_there) {
  runs("cp -r one full; cp one/last.safetensors full/before");
  fails("last.safetensors",
        "ulimit -f 8; " NETRUN_BINARY " train m.so --data phantom --iterations 14 --resume --out full");
  runs("cmp full/before full/last.safetensors");
  fails("cannot write", NETRUN_BINARY " info m.so > /dev/full 2>info.err; s=$?; cat info.err; exit $s");
}

TEST(a_loss_that_is_not_finite_ends_the_run) {
  runs(NETC_BINARY " %s/models/unet.net -o wild.so -D size=[32,32] -D widths=[4,8] -D batch=2 -D lr=1e30",
       source);
  fails("a smaller learning rate may help",
        NETRUN_BINARY " train wild.so --data phantom --iterations 50 --out wild");
}

/* ---- evaluation and prediction ---- */

TEST(evaluation_is_the_same_for_any_number_of_threads) {
  runs(NETRUN_BINARY
       " eval m.so --data phantom --weights one/last.safetensors --out ev1 --overlays 3 --threads 1");
  says("16 images");
  runs(NETRUN_BINARY " eval m.so --data phantom --weights one/last.safetensors --out ev2 --threads 2");
  runs("cmp ev1/eval.csv ev2/eval.csv && test $(wc -l < ev1/eval.csv) = 17 && test $(ls ev1/*.png | wc -l) = "
       "3");
  runs(NETRUN_BINARY
       " eval m.so --data phantom --weights one/last.safetensors --split train --fill --largest");
  says("64 images, holes filled, largest component");
  fails("weights of another network",
        NETRUN_BINARY " eval other.so --data phantom --weights one/last.safetensors");
  fails("no images in its val split",
        NETRUN_BINARY " eval m.so --data phantom --weights one/last.safetensors --split val");
  fails("No such file", NETRUN_BINARY " eval m.so --data phantom --weights none.safetensors");
}

/* ---- scores ---- */

/* Pictures of odd names, of which the second has an empty mask. */
static void write_named(int n, const char *const *names) {
  enum { SIDE = 32 };
  char err[ERR_MAX], path[256];
  runs("mkdir -p named/images named/masks; : > named/test.list");
  for (int k = 0; k < n; k++) {
    uint8_t gray[SIDE * SIDE], mask[SIDE * SIDE];
    for (int i = 0; i < SIDE * SIDE; i++) {
      int y = i / SIDE - 16, x = i % SIDE - 12 - k;
      mask[i] = k != 1 && y * y + x * x < 60 ? 255 : 0;
      gray[i] = (uint8_t)(mask[i] / 2 + 40 + i * 7 % 23);
    }
    for (int m = 0; m < 2; m++) {
      snprintf(path, sizeof path, "%s/named/%s/%s.png", root, m ? "masks" : "images", names[k]);
      if (!png_write_gray(path, m ? mask : gray, SIDE, SIDE, err)) fail_msg("%s", err);
    }
    snprintf(path, sizeof path, "%s/named/test.list", root);
    FILE *list = fopen(path, "a");
    assert_non_null(list);
    fprintf(list, "%s\n", names[k]);
    fclose(list);
  }
}

#define SCORE NETRUN_BINARY " eval m.so --data folder:named --weights one/last.safetensors "

TEST(scores_are_told_by_name_and_metric) {
  static const char *const names[] = {"pat 1", "p\u00e4t.v1.2", "a,b", "q\"x", "x_s1"};
  write_named(5, names);
  runs(SCORE "--out names");
  says("5 images");
  says("95 % interval of the mean, by 10000 resamples of the 5 cases");
  runs("awk -F, '{ print NF }' names/eval.csv | sort -n | uniq -c");
  says("5 10\n"); /* the header too */
  says("1 11\n"); /* a comma in the name */
  runs("cat names/eval.csv");
  says("\n\"a,b\","), says("\n\"q\"\"x\","), says("\np\u00e4t.v1.2,");
  runs(SCORE "--metrics di,NSD,rve --tolerance 2 --empty skip --out chosen");
  says("NSD within 2"), says("class 1: not in the truth of 1 of the 5 images; they are left out");
  runs("head -1 chosen/eval.csv; grep -c nan chosen/eval.csv");
  says("name,DI,NSD,RVE\n1\n");
  runs("cat chosen/eval.json");
  cJSON *j = cJSON_Parse(said);
  assert_non_null(j);
  assert_string_equal(cJSON_GetObjectItem(j, "unit")->valuestring, "image");
  assert_string_equal(cJSON_GetObjectItem(j, "weights")->valuestring, "one/last.safetensors");
  assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(j, "items")), 5);
  cJSON_Delete(j);
}

TEST(metrics_that_cannot_be_told_are_refused) {
  fails("nsd needs --tolerance MM", SCORE "--metrics all");
  fails("--tolerance is for nsd", SCORE "--tolerance 2");
  fails("a distance from 0 on", SCORE "--metrics nsd --tolerance -1");
  fails("a distance from 0 on", SCORE "--metrics nsd --tolerance inf");
  fails("there is no metric `dice`", SCORE "--metrics ja,dice");
  fails("one, nan or skip", SCORE "--empty zero");
}

/* ---- predictions ---- */

/* A folder of pictures larger than the module's size: masks come out at the pictures' size. */
TEST(masks_of_pictures_come_out_at_the_pictures_size) {
  char err[ERR_MAX], path[256];
  enum { H = 40, W = 50, N = 6 };
  runs("mkdir -p set/images set/masks");
  for (int k = 0; k < N; k++) {
    uint8_t gray[H * W], mask[H * W];
    for (int i = 0; i < H * W; i++) {
      int y = i / W - H / 2, x = i % W - W / 2 + k;
      mask[i] = y * y + x * x < 100 ? 255 : 0;
      gray[i] = (uint8_t)(mask[i] / 2 + 40 + i * 7 % 23);
    }
    snprintf(path, sizeof path, "%s/set/images/p%d.png", root, k);
    assert_true(png_write_gray(path, gray, H, W, err));
    snprintf(path, sizeof path, "%s/set/masks/p%d.png", root, k);
    assert_true(png_write_gray(path, mask, H, W, err));
  }
  runs("printf 'p0\\np1\\np2\\np3\\n' > set/train.list; printf 'p4\\np5\\n' > set/test.list");
  runs(NETRUN_BINARY " train m.so --data folder:set --iterations 60 --out trained");
  runs(NETRUN_BINARY " eval m.so --data folder:set --weights trained/last.safetensors --out evf");
  says("2 images");
  runs(
      NETRUN_BINARY
      " predict m.so --weights trained/last.safetensors --in set/images/p4.png --out p4.png --overlay o.png");
  runs(NETRUN_BINARY " predict m.so --weights trained/last.safetensors --in set/images --out out");
  runs("mkdir twins && cp set/images/p0.png twins/a.png && cp set/images/p0.png twins/a.jpg");
  fails("would both be a.png",
        NETRUN_BINARY " predict m.so --weights trained/last.safetensors --in twins --out out2");
  runs("cmp p4.png out/p4.png && test -s o.png && test $(ls out | wc -l) = 6");
  Image pred;
  assert_true(image_read(in_root("p4.png"), &(Wish){.as = READ_NUMBERS}, &pred, err));
  assert_int_equal(pred.grid.dim[0], H);
  assert_int_equal(pred.grid.dim[1], W);
  for (int64_t i = 0; i < H * W; i++) assert_true((int)pred.value[i] == 0 || (int)pred.value[i] == 255);
  image_free(&pred);

  fails("would overwrite", NETRUN_BINARY
        " predict m.so --weights trained/last.safetensors --in set/images/p4.png --out set/images/p4.png");
  fails(".png",
        NETRUN_BINARY " predict m.so --weights trained/last.safetensors --in set/images/p4.png --out p4.bmp");
  fails("none of the formats that are read",
        NETRUN_BINARY " predict m.so --weights trained/last.safetensors --in set/train.list --out t.png");
  runs("head -c 200 set/images/p0.png > cut.png");
  fails("cut.png", NETRUN_BINARY " predict m.so --weights trained/last.safetensors --in cut.png --out t.png");
  runs("! test -e t.png");
  uint8_t small[30 * 30] = {0};
  assert_true(png_write_gray(in_root("set/masks/p5.png"), small, 30, 30, err));
  fails("the mask is 30 x 30",
        NETRUN_BINARY " eval m.so --data folder:set --weights trained/last.safetensors --out evf2");
  says("p5");
  runs("! test -e evf2/eval.csv");
}

/* Volumes: a 2-D module takes them slice by slice, a 3-D one by windows. */
static void write_volume(const char *name, const int64_t dim[3]) {
  char err[ERR_MAX];
  int64_t n = dim[0] * dim[1] * dim[2];
  uint8_t *v = malloc((size_t)n);
  assert_non_null(v);
  for (int64_t i = 0; i < n; i++) {
    int64_t x = i / (dim[1] * dim[2]) - dim[0] / 3, y = i / dim[2] % dim[1] - dim[1] / 2,
            z = i % dim[2] - dim[2] / 2;
    v[i] = (uint8_t)((x * x + y * y + 2 * z * z < 60 ? 200 : 20) + i * 5 % 13);
  }
  Written what = {.spatial = 3, .grid = grid_plain(dim, NULL), .mask = v, .classes = 256};
  if (!image_write(in_root(name), NULL, &what, err)) fail_msg("%s", err);
  free(v);
}

TEST(volumes_are_predicted_at_their_own_size) {
  char err[ERR_MAX];
  const int64_t dim[3] = {36, 28, 20};
  Image v;
  write_volume("v.nii.gz", dim);
  runs(NETRUN_BINARY
       " predict m.so --weights one/last.safetensors --in v.nii.gz --out v2.nii.gz --overlay v2.png");
  assert_true(image_read(in_root("v2.nii.gz"), &(Wish){.as = READ_NUMBERS}, &v, err));
  assert_memory_equal(v.grid.dim, dim, sizeof dim);
  image_free(&v);
  runs(NETC_BINARY
       " %s/models/vnet.net -o v.so -D size=[16,16,16] -D n_filters=2 -D batch=1 -D 'augment=[\"flip\"]'",
       source);
  runs(NETRUN_BINARY " train v.so --data phantom --iterations 2 --out vrun");
  runs(NETRUN_BINARY " eval v.so --data phantom --weights vrun/last.safetensors --out vev --overlays 1");
  says("16 volumes");
  runs("test $(ls vev/*.png | wc -l) = 1");
  runs(NETRUN_BINARY
       " predict v.so --weights vrun/last.safetensors --in v.nii.gz --out v3.nii --overlay v3.png");
  assert_true(image_read(in_root("v3.nii"), &(Wish){.as = READ_NUMBERS}, &v, err));
  assert_memory_equal(v.grid.dim, dim, sizeof dim);
  Image same; /* of the same volume in another format, written in a third */
  write_volume("v.nrrd", dim);
  runs(NETRUN_BINARY " predict v.so --weights vrun/last.safetensors --in v.nrrd --out v5.mha");
  assert_true(image_read(in_root("v5.mha"), &(Wish){.as = READ_NUMBERS}, &same, err));
  assert_memory_equal(same.value, v.value, (size_t)grid_count(&v.grid) * sizeof *v.value);
  image_free(&v), image_free(&same);
  fails("damaged.h5: ", /* HDF5 itself crashes on this file */
        NETRUN_BINARY " predict v.so --weights vrun/last.safetensors --in "
                      "%s/tests/fuzz/seeds/fuzz_hdf5/damaged.h5 --out v4.nii",
        source);
  fails("wants a volume",
        NETRUN_BINARY " predict v.so --weights vrun/last.safetensors --in p4.png --out v.png");
  fails(".nii.gz", NETRUN_BINARY " predict v.so --weights vrun/last.safetensors --in v.nii.gz --out v.png");
}

#ifdef DICOM_PLUGIN
/* A DICOM series is a folder, and one volume. */
TEST(a_series_is_predicted_as_one_volume) {
  char err[ERR_MAX], command[512];
  Image v;
  snprintf(command, sizeof command,
           NETRUN_BINARY
           " predict v.so --weights vrun/last.safetensors --in %s/tests/fixtures/dicom/axial --out",
           source);
  runs("%s d.nii.gz", command);
  runs("%s dicom && cmp d.nii.gz dicom/axial.nii.gz", command);
  assert_true(image_read(in_root("d.nii.gz"), &(Wish){.as = READ_NUMBERS}, &v, err));
  assert_true(v.grid.dim[0] == 8 && v.grid.dim[2] == 5 && v.grid.placed && v.grid.to_mm[0][0] == -0.75);
  image_free(&v);
}
#endif

/* ---- info, bench, exec ---- */

static double number(const cJSON *o, const char *key) {
  const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, key);
  if (!cJSON_IsNumber(v)) fail_msg("no number `%s`", key);
  return v->valuedouble;
}

static void has_kernels(const cJSON *root_) {
  const cJSON *list = cJSON_GetObjectItemCaseSensitive(root_, "kernels"), *k;
  assert_true(cJSON_IsArray(list) && cJSON_GetArraySize(list) > 10);
  double flops = 0;
  cJSON_ArrayForEach(k, list) {
    assert_true(cJSON_IsString(cJSON_GetObjectItemCaseSensitive(k, "name")));
    flops += number(k, "flops");
    assert_true(number(k, "bytes") > 0);
  }
  assert_true(flops > 1e5);
}

TEST(json_of_info_and_bench_is_sound) {
  runs(NETRUN_BINARY " info m.so --json");
  cJSON *j = cJSON_Parse(said);
  assert_non_null(j);
  const cJSON *net = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(j, "networks"), 0);
  assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(net, "name")), "student");
  assert_true(number(net, "parameters") > 1000 && number(net, "macs") > 1e5);
  assert_true(number(j, "arena_bytes") > 1e5);
  has_kernels(j);
  cJSON_Delete(j);
  runs(NETRUN_BINARY " bench m.so --json --iterations 2");
  j = cJSON_Parse(said);
  assert_non_null(j);
  assert_true(number(j, "seconds_per_iteration") > 0 && number(j, "peak_rss_bytes") > 1e6);
  has_kernels(j);
  cJSON_Delete(j);
  runs(NETRUN_BINARY " info m.so");
  says("parameters");
}

static bool finite_and_not_zero(const Npy *x) {
  double sum = 0; /* keeps a NaN */
  for (int64_t i = 0; i < x->count; i++) sum += fabs(npy_value(x, i));
  return isfinite(sum) && sum > 0;
}

TEST(exec_runs_any_function_on_arrays) {
  char err[ERR_MAX];
  const int64_t dim[4] = {2, 1, 32, 32};
  float image[2048];
  int32_t label[2048];
  for (int i = 0; i < 2048; i++) image[i] = sinf((float)i), label[i] = i % 3 == 0;
  assert_true(npy_write(in_root("image.npy"), NPY_F4, 4, dim, image, err));
  assert_true(npy_write(in_root("label.npy"), NPY_I4, 4, dim, label, err));
  runs(NETRUN_BINARY " exec m.so supervised --weights one/last.safetensors --in labeled.image=image.npy "
                     "--in labeled.label=label.npy --iteration 12 --seed 5 --out ex");
  Npy loss, grad;
  assert_true(npy_read(in_root("ex/loss_student.npy"), &loss, err));
  assert_int_equal(loss.count, 1);
  assert_true(npy_value(&loss, 0) > 0 && npy_value(&loss, 0) < 10);
  npy_free(&loss);
  runs("ls ex/grad_student.*.npy | head -1");
  said[strcspn(said, "\n")] = '\0';
  assert_true(npy_read(in_root(said), &grad, err));
  assert_true(finite_and_not_zero(&grad));
  npy_free(&grad);
  Progress at;
  assert_true(checkpoint_progress(in_root("ex/after.safetensors"), &at, err));
  assert_int_equal(at.iteration, 13);
  runs("! cmp -s ex/after.safetensors one/last.safetensors");
  fails("needs --in NAME=FILE.npy for labeled.label",
        NETRUN_BINARY " exec m.so supervised --in labeled.image=image.npy --out ex2");
  fails("has shape [2,1,32,32]; input image",
        NETRUN_BINARY " exec m.so predict --in image=image.npy --out ex2");
  fails("it has supervised", NETRUN_BINARY " exec m.so nothing --out ex2");
}

/* ---- the command line, and files that are no modules ---- */

TEST(help_is_given_and_mistakes_are_explained) {
  static const char *const commands[] = {"train", "eval", "predict", "info", "bench", "exec"};
  for (int i = 0; i < 6; i++) {
    runs(NETRUN_BINARY " %s --help", commands[i]);
    says("--");
  }
  runs(NETRUN_BINARY " --version");
  says("netrun " NETC_VERSION);
  runs(NETRUN_BINARY " --help");
  says("leaves last.safetensors");
  fails("did you mean `netrun train`", NETRUN_BINARY " trian");
  fails("did you mean --labeled", NETRUN_BINARY " train m.so --labelled 3");
  fails("did you mean --help", NETRUN_BINARY " train m.so --halp");
  fails("usage: netrun info MODULE", NETRUN_BINARY " info");
  fails("do not know what to do with", NETRUN_BINARY " info m.so m.so");
  fails("a whole number", TRAIN "--threads many");
  fails("a whole number of cases", TRAIN "--labeled 0.5 --out half");
  runs(NETRUN_BINARY " train m.so --data phantom --resume --iterations 2 --out one");
  says("iterations already");
  fails("has no input `picture`", NETRUN_BINARY " exec m.so predict --out x --in picture=m.so");
}

/* What stands where the module should go is replaced only if a module may have stood there. */
TEST(only_a_module_is_replaced_by_a_module) {
  runs("mkfifo pipe && echo 'forward f(x: f32[1, 1, 4, 4]) { return relu(x) }' > mine.net && mkdir folder");
  assert_int_equal(sh(NETC_BINARY " mine.net -o pipe"), 1);
  says("is left as it is");
  assert_int_equal(sh(NETC_BINARY " mine.net -o folder"), 1);
  says("it is a directory");
  assert_int_equal(sh(NETC_BINARY " mine.net -o ./mine.net"), 1);
  says("the source itself");
  runs("test -p pipe && grep -q forward mine.net && echo old > kept.so");
  assert_int_equal(sh(NETC_BINARY " mine.net -o kept.so -D nothing=1"), 1);
  runs("grep -q old kept.so && " NETC_BINARY " mine.net -o kept.so");
  assert_int_equal(sh(NETC_BINARY " mine.net -o m2.so --threads 3x"), 1);
  says("--threads 3x");
}

TEST(what_is_no_module_is_refused) {
  fails("cannot open module none.so", NETRUN_BINARY " info none.so");
  fails("is not a module", NETRUN_BINARY " info one/metrics.csv");
  runs("head -c 20000 m.so > cut.so");
  fails("cut.so is cut short", NETRUN_BINARY " info cut.so");
  fails("another version of netc", NETRUN_BINARY " info " TEST_MODULES "/toy_version.so");
  fails("is damaged", NETRUN_BINARY " info " TEST_MODULES "/toy_broken.so");
  fails("NETRUN_CACHE_MB is `much`", "NETRUN_CACHE_MB=much " TRAIN "--out cache");
  fails("NETRUN_ISA is `sse`", "NETRUN_ISA=sse " NETRUN_BINARY " info m.so");
}

RUN_TESTS(set_up, scratch_tear_down)
