/* rundir.c - the directory of a run: its CSV files, cut back to the last checkpoint when a run is resumed,
 * and the lock by which it belongs to one process. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "runtime/base/file.h"
#include "runtime/train/rundir.h"

/* What a run leaves. A directory that has one of those that begin a run holds one; all go by --force. */
static const struct {
  const char *name;
  bool begins; /* is there from the start of a run on */
  bool rows;   /* a csv file whose rows begin with the iteration */
} result[] = {{"last.safetensors", true, false}, {"best.safetensors", true, false},
              {"metrics.csv", true, true},       {"timing.csv", true, true},
              {"val.csv", true, true},           {"curves.png", false, false}};
enum { RESULTS = sizeof result / sizeof *result };

bool rundir_open(RunDir *r, const char *dir, char err[ERR_MAX]) {
  *r = (RunDir){
      strdup(dir),  path_join(dir, "last.safetensors"), path_join(dir, "best.safetensors"), NULL, NULL,
      DIR_LOCK_NONE};
  if (!r->dir || !r->checkpoint || !r->best) return err_memory(err, "a file name", 0);
  return make_dirs(dir, err) &&
         dir_lock(&r->lock, dir, "choose another --out, or wait for its end and go on with --resume", err);
}

static FILE *open_csv(const char *dir, const char *name, const char *mode, char err[ERR_MAX]) {
  char *path = path_join(dir, name);
  FILE *f = path ? fopen(path, mode) : NULL;
  if (!f) err_sys(err, "cannot write %s/%s", dir, name);
  free(path);
  return f;
}

static void write_header(FILE *f, const NetcFn *fn) {
  fprintf(f, "iteration");
  for (int i = 0; i < fn->noutputs; i++) fprintf(f, ",%s", fn->outputs[i].name);
  fprintf(f, "\n");
}

static bool holds_run(const RunDir *r, char err[ERR_MAX]) {
  for (int i = 0; i < RESULTS; i++) {
    char *path = path_join(r->dir, result[i].name);
    bool there = path && result[i].begins && file_exists(path);
    free(path);
    if (!path) return err_memory(err, "a file name", 0), true;
    if (!there) continue;
    err_set(err,
            "%s holds the results of a run (%s): continue it with --resume, choose another --out, or throw "
            "them away with --force",
            r->dir, result[i].name);
    return true;
  }
  return false;
}

static bool remove_results(const RunDir *r, char err[ERR_MAX]) {
  for (int i = 0; i < RESULTS; i++) {
    char *path = path_join(r->dir, result[i].name);
    if (!path) return err_memory(err, "a file name", 0);
    bool ok = unlink(path) == 0 || errno == ENOENT || err_sys(err, "cannot remove %s", path);
    free(path);
    if (!ok) return false;
  }
  return true;
}

bool rundir_create(RunDir *r, const NetcFn *fn, bool force, char err[ERR_MAX]) {
  if (force ? !remove_results(r, err) : holds_run(r, err)) return false;
  r->metrics = open_csv(r->dir, "metrics.csv", "w", err);
  r->timing = r->metrics ? open_csv(r->dir, "timing.csv", "w", err) : NULL;
  if (!r->timing) return false;
  write_header(r->metrics, fn);
  fprintf(r->timing, "iteration,seconds\n");
  return rundir_sync(r, err);
}

/* Rewrites a csv file without incomplete rows and those later than `iteration`. A missing file is left
 * missing. */
static bool drop_rows(const char *dir, const char *name, uint64_t iteration, char err[ERR_MAX]) {
  char *path = path_join(dir, name), *line = NULL;
  size_t room = 0;
  FILE *in = path ? fopen(path, "r") : NULL;
  AtomicFile out;
  bool ok = in && atomic_open(&out, path, err);
  if (ok) {
    bool header = true;
    for (ssize_t n; (n = getline(&line, &room, in)) > 0; header = false)
      if (line[n - 1] == '\n' && (header || strtoull(line, NULL, 10) <= iteration))
        fwrite(line, 1, (size_t)n, out.file);
    ok = atomic_commit(&out, err);
  } else if (path && !in) ok = !file_exists(path) || err_sys(err, "cannot read %s", path);
  if (in) fclose(in);
  free(line);
  free(path);
  return ok;
}

bool rundir_resume(RunDir *r, const NetcFn *fn, uint64_t iteration, char err[ERR_MAX]) {
  for (int i = 0; i < RESULTS; i++)
    if (result[i].rows && !drop_rows(r->dir, result[i].name, iteration, err)) return false;
  r->metrics = open_csv(r->dir, "metrics.csv", "a", err);
  r->timing = r->metrics ? open_csv(r->dir, "timing.csv", "a", err) : NULL;
  if (!r->timing) return false;
  if (ftell(r->metrics) == 0) write_header(r->metrics, fn);
  if (ftell(r->timing) == 0) fprintf(r->timing, "iteration,seconds\n");
  return true;
}

void rundir_close(RunDir *r) {
  if (!r->dir) return; /* never opened */
  if (r->metrics) fclose(r->metrics);
  if (r->timing) fclose(r->timing);
  dir_unlock(&r->lock);
  free(r->dir), free(r->checkpoint), free(r->best);
  *r = RUN_DIR_NONE;
}

bool rundir_log(RunDir *r, uint64_t iteration, const double *value, int nvalue, double seconds,
                char err[ERR_MAX]) {
  fprintf(r->metrics, "%" PRIu64, iteration);
  for (int i = 0; i < nvalue; i++) fprintf(r->metrics, ",%.9g", value[i]);
  fprintf(r->metrics, "\n");
  fprintf(r->timing, "%" PRIu64 ",%.6f\n", iteration, seconds);
  if (fflush(r->metrics) != 0 || fflush(r->timing) != 0)
    return err_sys(err, "cannot write %s/metrics.csv", r->dir);
  return true;
}

bool rundir_sync(RunDir *r, char err[ERR_MAX]) {
  if (fflush(r->metrics) != 0 || fsync(fileno(r->metrics)) != 0 || fflush(r->timing) != 0)
    return err_sys(err, "cannot write %s/metrics.csv", r->dir);
  return true;
}
