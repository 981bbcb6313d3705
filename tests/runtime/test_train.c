/* test_train.c - the training loop on the toy module: the same bytes whatever the threads, across stop, kill
 * and resume; and what it refuses. */
#include <stdint.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/test.h"
#include "runtime/device/open.h"
#include "ir/philox.h"
#include "runtime/train/train.h"

#include "tests/scratch.h"

/* ---- a data set: images of noise, label 1 where the value is above 0.5 ---- */

typedef struct {
  uint64_t fail_at, nan_at, stop_at, kill_at; /* iterations + 1; 0 = never */
  volatile sig_atomic_t stop;
  int evals;
  const double *scores; /* per iteration; NULL: none */
} Host;

static bool batch(void *user, int stream, uint64_t iteration, void *const *dst, char err[ERR_MAX]) {
  Host *h = user;
  assert_int_equal(stream, 0);
  if (iteration + 1 == h->fail_at) return err_set(err, "images/07.png is missing");
  if (iteration + 1 == h->kill_at) kill(getpid(), SIGKILL);
  for (int i = 0; i < 1024; i++) {
    float x = philox_uniform(11, iteration, 0, (uint64_t)i);
    ((float *)dst[0])[i] = iteration + 1 == h->nan_at ? NAN : x;
    ((int32_t *)dst[1])[i] = x > 0.5f;
  }
  return true;
}

static bool eval(void *user, uint64_t done, double *score, char err[ERR_MAX]) {
  Host *h = user;
  (void)err;
  *score = h->scores ? h->scores[done - 1] : NAN;
  h->evals++;
  if (done == h->stop_at) h->stop = 1;
  return true;
}

/* A run of the toy module in root/name; the error, or "". */
static const char *train(const char *name, int threads, TrainOptions o, Host *h) {
  static char err[ERR_MAX];
  Module *m = module_open(TEST_MODULES "/toy.so", err);
  Session *s = m ? session_new(m, threads, err) : NULL;
  if (!s) fail_msg("%s", err);
  char out[128];
  snprintf(out, sizeof out, "%s", in_root(name));
  o.fn = module_fn(m, "toy"), o.out = out, o.batch = batch, o.eval = eval, o.user = h, o.stop = &h->stop;
  o.epoch_iterations = m->desc->epoch_iterations, o.eval_every = 1;
  if (!o.iterations) o.iterations = m->desc->max_iterations;
  if (train_run(s, &o, err)) err[0] = '\0';
  session_free(s);
  module_close(m);
  return err;
}

static void same_file(const char *a, const char *b) {
  Bytes x, y;
  char err[ERR_MAX];
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

TEST(the_bytes_are_the_same_for_any_number_of_threads) {
  TrainOptions o = {.seed = 3};
  assert_string_equal(train("one", 1, o, &(Host){0}), "");
  Host h = {0};
  assert_string_equal(train("three", 3, o, &h), "");
  assert_int_equal(h.evals, 12);
  same_run("one", "three");
  Progress at;
  char err[ERR_MAX];
  assert_true(checkpoint_progress(in_root("one/last.safetensors"), &at, err));
  assert_int_equal(at.iteration, 12);
  assert_int_equal(at.seed, 3);
  assert_true(at.epoch == 2);
}

/* It learns, and rows are what they say: iteration, loss, epoch + a random number. */
TEST(it_learns_and_rows_are_what_they_say) {
  assert_string_equal(train("metrics", 2, (TrainOptions){.seed = 1, .iterations = 200}, &(Host){0}), "");
  FILE *f = fopen(in_root("metrics/metrics.csv"), "r");
  assert_non_null(f);
  char header[64];
  assert_non_null(fgets(header, sizeof header, f));
  assert_string_equal(header, "iteration,loss,extra\n");
  double first = 0, loss = 0, extra;
  int row, n = 0;
  while (fscanf(f, "%d,%lf,%lf", &row, &loss, &extra) == 3) {
    assert_int_equal(row, ++n);
    if (n == 1) first = loss;
    double random = philox_uniform(1, (uint64_t)n - 1, 7, 0);
    assert_true(fabs(extra - ((n - 1) / 5 + random)) < 1e-5);
  }
  fclose(f);
  assert_int_equal(n, 200);
  assert_true(loss < 0.6 * first);
}

TEST(a_stopped_run_resumes_to_the_same_bytes) {
  TrainOptions o = {.seed = 3};
  assert_string_equal(train("whole", 1, o, &(Host){0}), "");
  assert_string_equal(train("halves", 2, o, &(Host){.stop_at = 5}), "");
  Progress at;
  char err[ERR_MAX];
  assert_true(checkpoint_progress(in_root("halves/last.safetensors"), &at, err));
  assert_int_equal(at.iteration, 5);
  o.resume = true;
  assert_string_equal(train("halves", 1, o, &(Host){0}), "");
  same_run("whole", "halves");
  assert_string_equal(train("halves", 1, o, &(Host){0}), ""); /* nothing left to do */
  same_run("whole", "halves");
}

/* SIGKILL, between checkpoints: rows behind the last checkpoint are written again, byte for byte. */
TEST(a_killed_run_resumes_to_the_same_bytes) {
  TrainOptions o = {.seed = 3, .save_every = 4};
  assert_string_equal(train("calm", 1, o, &(Host){0}), "");
  for (uint64_t at = 1; at <= 12; at += 3) {
    char name[16];
    snprintf(name, sizeof name, "kill%d", (int)at);
    pid_t child = fork();
    if (child == 0) {
      train(name, 2, o, &(Host){.kill_at = at});
      _exit(9);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    TrainOptions again = o;
    again.resume = true;
    assert_string_equal(train(name, 2, again, &(Host){0}), "");
    same_run("calm", name);
  }
}

TEST(a_folder_that_does_not_fit_is_refused) {
  TrainOptions o = {.seed = 3};
  assert_string_equal(train("taken", 1, o, &(Host){0}), "");
  assert_non_null(strstr(train("taken", 1, o, &(Host){0}), "--resume"));
  o.force = true;
  assert_string_equal(train("taken", 1, o, &(Host){0}), "");
  o.force = false, o.resume = true, o.seed = 4;
  assert_non_null(strstr(train("taken", 1, o, &(Host){0}), "--seed 3"));
  assert_non_null(strstr(train("never", 1, o, &(Host){0}), "without --resume"));
}

TEST(a_batch_that_fails_ends_the_run_at_its_checkpoint) {
  TrainOptions o = {.seed = 3, .save_every = 4};
  Progress at;
  char err[ERR_MAX];
  assert_string_equal(train("fails", 1, o, &(Host){.fail_at = 7}), "images/07.png is missing");
  assert_true(checkpoint_progress(in_root("fails/last.safetensors"), &at, err));
  assert_int_equal(at.iteration, 4);
  const char *message = train("nan", 1, o, &(Host){.nan_at = 10});
  assert_non_null(strstr(message, "loss is not a number (NaN) in iteration 10"));
  assert_non_null(strstr(message, "after 8 iterations"));
  assert_true(checkpoint_progress(in_root("nan/last.safetensors"), &at, err));
  assert_int_equal(at.iteration, 8);
}

/* What best.safetensors says; its iteration 0: there is none. */
static Progress best_of(const char *name) {
  Progress at = {.iteration = 0};
  char path[64], err[ERR_MAX];
  snprintf(path, sizeof path, "%s/best.safetensors", name);
  if (file_exists(in_root(path)) && !checkpoint_progress(in_root(path), &at, err)) fail_msg("%s", err);
  return at;
}

TEST(the_best_weights_are_kept) {
  static const double scores[12] = {NAN, 0.5, 0.4, 0.7, 0.6, 0.7, NAN, 0.1, 0.2, 0.3, 0.69, 0};
  TrainOptions o = {.seed = 3, .best = "DI", .best_split = "val"};
  assert_string_equal(train("best", 1, o, &(Host){.scores = scores}), "");
  Progress at = best_of("best");
  assert_int_equal(at.iteration, 4); /* the earliest among equals */
  assert_true(at.best_value == 0.7 && !strcmp(at.best, "DI") && !strcmp(at.best_split, "val"));
  /* these are the weights that four iterations make */
  assert_string_equal(train("four", 1, (TrainOptions){.seed = 3}, &(Host){.stop_at = 4}), "");
  Progress last;
  char err[ERR_MAX];
  assert_true(checkpoint_progress(in_root("four/last.safetensors"), &last, err));
  assert_int_equal(last.iteration, 4);
  assert_string_equal(last.best, "");
  StFile *a = st_open(in_root("best/best.safetensors"), err),
         *b = st_open(in_root("four/last.safetensors"), err);
  const StTensor *x = st_find(a, "net.weight"), *y = st_find(b, "net.weight");
  assert_memory_equal(x->data, y->data, 8);
  st_close(a), st_close(b);
  o.best = "ASD", o.best_is_least = true, o.force = true;
  assert_string_equal(train("best", 1, o, &(Host){.scores = scores}), "");
  assert_int_equal(best_of("best").iteration, 12);
  assert_string_equal(train("none", 1, (TrainOptions){.seed = 3}, &(Host){.scores = scores}), "");
  assert_int_equal(best_of("none").iteration, 0);
}

/* Stopped before, at and behind the best score: a lesser one that comes after does not take its place, and a
 * run that is killed behind it goes the same way again. */
TEST(the_best_weights_outlive_a_resume) {
  static const double scores[12] = {0.1, 0.2, 0.3, 0.9, 0.4, 0.5, 0.8, 0.1, 0.2, 0.3, 0.6, 0};
  TrainOptions o = {.seed = 3, .best = "DI", .best_split = "val"};
  assert_string_equal(train("straight", 1, o, &(Host){.scores = scores}), "");
  for (uint64_t at = 3; at <= 5; at++) {
    char name[16], file[64];
    snprintf(name, sizeof name, "stop%d", (int)at);
    assert_string_equal(train(name, 1, o, &(Host){.scores = scores, .stop_at = at}), "");
    o.resume = true;
    assert_string_equal(train(name, 1, o, &(Host){.scores = scores}), "");
    o.resume = false;
    snprintf(file, sizeof file, "%s/best.safetensors", name);
    same_file("straight/best.safetensors", file);
    same_run("straight", name);
  }
  o.save_every = 3; /* the best one is written after iteration 4, the last one after 3 */
  pid_t child = fork();
  if (child == 0) {
    train("killed", 1, o, &(Host){.scores = scores, .kill_at = 6});
    _exit(9);
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFSIGNALED(status));
  o.resume = true;
  assert_string_equal(train("killed", 1, o, &(Host){.scores = scores}), "");
  same_file("straight/best.safetensors", "killed/best.safetensors");
  o.best = "JA";
  assert_non_null(
      strstr(train("killed", 1, o, &(Host){.scores = scores}), "was chosen by DI on the val split"));
}

RUN_TESTS(scratch_set_up, scratch_tear_down)
