/* exec.c - netrun exec: one function of a module on arrays from .npy files, its results as files. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "runtime/base/array.h"
#include "runtime/session/checkpoint.h"
#include "runtime/cli/exec.h"
#include "runtime/cli/session.h"
#include "runtime/io/npy.h"

/* ---- inputs ---- */

static const char *path_of(const ExecOptions *o, const char *name) {
  for (int i = o->ninput - 1; i >= 0; i--)
    if (strcmp(o->input[i].name, name) == 0) return o->input[i].path;
  return NULL;
}

static bool check_inputs(const NetcFn *f, const ExecOptions *o, char err[ERR_MAX]) {
  char list[ERR_MAX / 2] = "", buf[128];
  int n = 0;
  for (int i = 0; i < o->ninput; i++)
    if (!array_find(f->inputs, f->ninputs, o->input[i].name))
      return err_set(err, "%s has no input `%s` (see netrun info)", f->name, o->input[i].name);
  for (int i = 0; i < f->ninputs; i++) {
    if (is_host_scalar(&f->inputs[i]) || path_of(o, f->inputs[i].name)) continue;
    if (n < (int)sizeof list)
      n += snprintf(list + n, sizeof list - (size_t)n, "%s %s %s", n ? "," : "", f->inputs[i].name,
                    array_str(&f->inputs[i], buf));
  }
  if (n) return err_set(err, "%s needs --in NAME=FILE.npy for%s", f->name, list);
  return true;
}

/* Values of a .npy file as the elements of the array; integers must be whole. */
static bool convert(const Npy *npy, const NetcArray *a, const char *path, void *out, char err[ERR_MAX]) {
  for (int64_t i = 0; i < npy->count; i++) {
    double v = npy_value(npy, i);
    if (a->dtype == NETC_F32) ((float *)out)[i] = (float)v;
    else if (v == floor(v) && fabs(v) <= INT32_MAX) ((int32_t *)out)[i] = (int32_t)v;
    else
      return err_set(err, "%s: element %lld is %g; input %s takes whole numbers", path, (long long)i, v,
                     a->name);
  }
  return true;
}

static bool load_input(const Session *s, const NetcArray *a, const char *path, char err[ERR_MAX]) {
  Npy npy;
  char want[128];
  if (!npy_read(path, &npy, err)) return false;
  bool ok = npy.rank == a->rank;
  for (int i = 0; ok && i < a->rank; i++) ok = npy.dim[i] == a->dim[i];
  if (!ok) {
    NetcArray have = {.dtype = a->dtype, .rank = npy.rank < NETC_MAX_RANK ? npy.rank : NETC_MAX_RANK};
    char got[128];
    memcpy(have.dim, npy.dim, sizeof have.dim);
    err_set(err, "%s has shape %s; input %s is %s", path, strchr(array_str(&have, got), '['), a->name,
            array_str(a, want));
  }
  void *logical = ok ? malloc((size_t)npy.count * 4 + 4) : NULL;
  if (ok && !logical) ok = err_memory(err, path, npy.count * 4);
  ok = ok && convert(&npy, a, path, logical, err);
  if (ok) array_to_memory(a, logical, session_at(s, a));
  free(logical);
  npy_free(&npy);
  return ok;
}

/* ---- running ---- */

static bool prepare(const Session *s, const NetcFn *f, const ExecOptions *o, char err[ERR_MAX]) {
  session_init(s, o->seed);
  if (o->weights && !checkpoint_load(s, o->weights, f, NULL, err)) return false;
  session_scalars(s, f, o->iteration, o->epoch, o->max_iterations);
  for (int i = 0; i < f->ninputs; i++) {
    const char *path = path_of(o, f->inputs[i].name);
    if (path && !load_input(s, &f->inputs[i], path, err)) return false;
  }
  return true;
}

/* Names become file names: whatever is not a letter, digit, '.', '-' or '_' becomes '_'. */
static void safe_name(const char *name, char *out, size_t size) {
  size_t n = 0;
  for (; name[n] && n + 5 < size; n++)
    out[n] =
        strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_", name[n]) ? name[n] : '_';
  strcpy(out + n, ".npy");
}

static bool write_output(const Session *s, const NetcArray *a, const char *dir, char err[ERR_MAX]) {
  char file[256];
  safe_name(a->name, file, sizeof file);
  char *path = path_join(dir, file);
  void *logical = malloc((size_t)array_count(a) * 4);
  bool ok = path && logical ? true : err_memory(err, a->name, array_count(a) * 4);
  if (ok) {
    array_from_memory(a, session_at(s, a), logical);
    ok = npy_write(path, a->dtype == NETC_I32 ? NPY_I4 : NPY_F4, a->rank, a->dim, logical, err);
  }
  free(logical);
  free(path);
  return ok;
}

static bool run_and_write(const Session *s, const NetcFn *f, const ExecOptions *o, char err[ERR_MAX]) {
  if (!prepare(s, f, o, err)) return false;
  if (!fn_run(s, f, (NetcStep){o->seed, (uint64_t)o->iteration}, err)) return false;
  for (int i = 0; i < f->noutputs; i++)
    if (!write_output(s, &f->outputs[i], o->out, err)) return false;
  return true;
}

static bool write_after(const Session *s, const ExecOptions *o, char err[ERR_MAX]) {
  Progress at = {.iteration = (uint64_t)o->iteration + 1,
                 .seed = o->seed,
                 .epoch = o->epoch,
                 .max_iterations = (int64_t)o->max_iterations};
  char *path = path_join(o->out, "after.safetensors");
  bool ok = path ? checkpoint_save(s, path, &at, err) : err_memory(err, "a file name", 0);
  free(path);
  return ok;
}

bool exec_run(const Session *s, const ExecOptions *o, char err[ERR_MAX]) {
  const NetcFn *f = module_fn_named(s->module, o->function, err);
  if (!f || !check_inputs(f, o, err) || !make_dirs(o->out, err)) return false;
  char name[256];
  snprintf(name, sizeof name, "%s.grads", f->name);
  const NetcFn *grads = f->kind == NETC_FN_TRAIN ? module_fn(s->module, name) : NULL;
  if (grads && !run_and_write(s, grads, o, err)) return false;
  return run_and_write(s, f, o, err) && (f->kind != NETC_FN_TRAIN || write_after(s, o, err));
}

/* ---- the command ---- */

static const CliOption options[] = {
    {"weights", "FILE", "a .safetensors file; without it variables have their initial values"},
    {"in", "NAME=FILE.npy", "an input; once for each that is no iteration, epoch or max_iterations"},
    {"iteration", "T", "value of `iteration`, and of the random numbers' counter (0)"},
    {"epoch", "E", "value of `epoch` (0)"},
    {"max-iterations", "N", "value of `max_iterations` (what the module says)"},
    {"seed", "S", "seed of initial values and random numbers (0)"},
    {"threads", "T", "threads (all CPUs)"},
    {"device", "NAME", "cpu or cuda:N (cpu)"},
    {"out", "DIR", "directory for the results"},
    {NULL, NULL, NULL}};

/* Splits NAME=FILE; the name's copy goes to `names`. */
static bool parse_input(const char *text, ExecInput *in, char **names, char err[ERR_MAX]) {
  const char *eq = strchr(text, '=');
  if (!eq || eq == text || !eq[1]) return err_set(err, "--in is `%s`; NAME=FILE.npy is expected", text);
  *names = strndup(text, (size_t)(eq - text));
  *in = (ExecInput){*names, eq + 1};
  return *names ? true : err_memory(err, "a name", 0);
}

static bool parse_options(const CliArgs *args, ExecOptions *o, ExecInput *input, char **names,
                          char err[ERR_MAX]) {
  o->function = args->operand[1];
  o->weights = cli_value(args, "weights");
  o->input = input;
  int64_t t, seed;
  if (!cli_required(args, "out", &o->out, err) || !cli_int(args, "iteration", 0, 0, INT64_MAX / 2, &t, err) ||
      !cli_int(args, "seed", 0, 0, INT64_MAX, &seed, err) || !cli_number(args, "epoch", 0, &o->epoch, err) ||
      !cli_number(args, "max-iterations", -1, &o->max_iterations, err))
    return false;
  o->iteration = (double)t, o->seed = (uint64_t)seed;
  for (int i = 0; i < args->ngiven; i++) {
    if (strcmp(args->given[i].option->name, "in") != 0) continue;
    if (!parse_input(args->given[i].value, &input[o->ninput], &names[o->ninput], err)) return false;
    o->ninput++;
  }
  return true;
}

static bool execute(Session *s, const CliArgs *args, void *user, char err[ERR_MAX]) {
  ExecOptions *o = user;
  (void)args;
  if (o->max_iterations < 0) o->max_iterations = (double)s->module->desc->max_iterations;
  return exec_run(s, o, err);
}

static bool run(const CliArgs *args, char err[ERR_MAX]) {
  ExecInput input[CLI_MAX_ARGS];
  char *names[CLI_MAX_ARGS] = {NULL};
  ExecOptions o = {.seed = 0};
  bool ok = parse_options(args, &o, input, names, err) && cli_with_session(args, execute, &o, err);
  for (int i = 0; i < CLI_MAX_ARGS; i++) free(names[i]);
  return ok;
}

const Command cmd_exec = {"exec",
                          "MODULE FUNCTION --out DIR",
                          "Runs one function on .npy arrays and writes its results as .npy files.",
                          2,
                          2,
                          options,
                          run};
