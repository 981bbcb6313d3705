/* rundir.c - the directory of a run: its CSV files, cut back to the last checkpoint when a run is resumed. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "runtime/base/file.h"
#include "runtime/train/rundir.h"

static const char *const result_files[] = {"last.safetensors", "metrics.csv", "timing.csv", "val.csv"};
enum { RESULT_FILES = sizeof result_files / sizeof *result_files };

static bool set_names(RunDir *r, const char *dir, char err[ERR_MAX]) {
  *r = (RunDir){strdup(dir), path_join(dir, "last.safetensors"), NULL, NULL};
  return (r->dir && r->checkpoint) || err_memory(err, "a file name", 0);
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

bool rundir_create(RunDir *r, const char *dir, const NetcFn *fn, bool force, char err[ERR_MAX]) {
  if (!set_names(r, dir, err) || !make_dirs(dir, err)) return false;
  for (int i = 0; i < RESULT_FILES; i++) {
    char *path = path_join(dir, result_files[i]);
    if (!path) return err_memory(err, "a file name", 0);
    bool there = file_exists(path);
    bool ok = !there || (force && unlink(path) == 0);
    free(path);
    if (!ok)
      return err_set(
          err,
          "%s holds the results of a run (%s): continue it with --resume, choose another --out, or throw "
          "them away with --force",
          dir, result_files[i]);
  }
  r->metrics = open_csv(dir, "metrics.csv", "w", err);
  r->timing = r->metrics ? open_csv(dir, "timing.csv", "w", err) : NULL;
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

bool rundir_resume(RunDir *r, const char *dir, const NetcFn *fn, uint64_t iteration, char err[ERR_MAX]) {
  if (!set_names(r, dir, err)) return false;
  for (int i = 1; i < RESULT_FILES; i++)
    if (!drop_rows(dir, result_files[i], iteration, err)) return false;
  r->metrics = open_csv(dir, "metrics.csv", "a", err);
  r->timing = r->metrics ? open_csv(dir, "timing.csv", "a", err) : NULL;
  if (!r->timing) return false;
  if (ftell(r->metrics) == 0) write_header(r->metrics, fn);
  if (ftell(r->timing) == 0) fprintf(r->timing, "iteration,seconds\n");
  return true;
}

void rundir_close(RunDir *r) {
  if (r->metrics) fclose(r->metrics);
  if (r->timing) fclose(r->timing);
  free(r->dir);
  free(r->checkpoint);
  *r = (RunDir){NULL, NULL, NULL, NULL};
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
