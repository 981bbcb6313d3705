/* predictor.c - options of prediction. */
#include "runtime/cli/predictor.h"
#include <stdlib.h>
#include <string.h>
#include "runtime/base/file.h"
#include "runtime/session/checkpoint.h"

void cli_weights_free(CliWeights *w) {
  free(w->text);
  *w = (CliWeights){.n = 0};
}

/* The names that --weights was given, one after the other, with commas between; to be freed. */
static char *joined(const CliArgs *args) {
  size_t size = 1;
  for (int i = 0; i < args->ngiven; i++)
    if (!strcmp(args->given[i].option->name, "weights")) size += strlen(args->given[i].value) + 1;
  char *text = calloc(size, 1);
  for (int i = 0; text && i < args->ngiven; i++)
    if (!strcmp(args->given[i].option->name, "weights"))
      strcat(text, args->given[i].value), strcat(text, ",");
  return text;
}

bool cli_weights(const CliArgs *args, CliWeights *out, char err[ERR_MAX]) {
  const char *given;
  *out = (CliWeights){.n = 0};
  if (!cli_required(args, "weights", &given, err)) return false;
  if (!(out->text = joined(args))) return err_memory(err, "names of weights", 0);
  char *rest = out->text;
  for (char *end; (end = strchr(rest, ',')); rest = end + 1) {
    *end = 0;
    if (!*rest) continue;
    if (out->n == CLI_MAX_MODELS) return err_set(err, "--weights: at most %d files", CLI_MAX_MODELS);
    out->file[out->n++] = rest;
  }
  /* a file whose name has a comma in it */
  if (out->n > 1 && file_exists(given) && strchr(given, ',')) out->file[0] = given, out->n = 1;
  return out->n || err_set(err, "--weights is empty");
}

static bool strides(const char *text, int spatial, int64_t stride[3], char err[ERR_MAX]) {
  char *end = NULL;
  const char *at = text;
  for (int a = 0; a < spatial; a++, at = end + 1) {
    stride[a] = strtoll(at, &end, 10);
    if (end == at || stride[a] < 1 || *end != (a + 1 < spatial ? ',' : 0))
      return err_set(err, "--stride is `%s`; %d whole numbers of 1 or more are expected, as %s", text,
                     spatial, spatial == 3 ? "18,18,4" : "64,64");
  }
  return true;
}

static bool window_plan(const CliArgs *args, int spatial, WindowPlan *plan, char err[ERR_MAX]) {
  const char *stride = cli_value(args, "stride"), *window = cli_value(args, "window");
  if (stride && cli_given(args, "overlap"))
    return err_set(err, "--stride and --overlap say the same; give one of them");
  if (window && strcmp(window, "uniform") != 0 && strcmp(window, "gaussian") != 0)
    return err_set(err, "--window is `%s`; it can be uniform or gaussian", window);
  if (window) plan->gaussian = !strcmp(window, "gaussian");
  if (stride && !strides(stride, spatial, plan->stride, err)) return false;
  if (!cli_number(args, "overlap", plan->overlap, &plan->overlap, err)) return false;
  if (cli_given(args, "overlap")) memset(plan->stride, 0, sizeof plan->stride);
  if (plan->overlap >= 0 && plan->overlap < 1) return true;
  return err_set(err, "--overlap is %g; a fraction from 0 to below 1 is expected", plan->overlap);
}

bool cli_predictor(const CliArgs *args, Predictor *p, const CliWeights *weights, char err[ERR_MAX]) {
  p->flips = cli_given(args, "flips");
  if (!window_plan(args, p->shape.spatial, &p->plan, err)) return false;
  if (!weights) return true;
  p->models = weights->n, p->weights = weights->file;
  for (int i = weights->n - 1; i >= 0; i--) /* all of them are looked at before the first image */
    if (!checkpoint_load(p->session, weights->file[i], p->fn, NULL, err)) return false;
  return true;
}

bool cli_cleaning(const CliArgs *args, const Module *m, Cleaning *out, char err[ERR_MAX]) {
  *out = cleaning_of(!m || cli_given(args, "raw") ? NULL : m->desc->prepare);
  out->fill = out->fill || cli_given(args, "fill"), out->largest = out->largest || cli_given(args, "largest");
  return cli_number(args, "drop", out->drop, &out->drop, err) &&
         (out->drop >= 0 || err_set(err, "--drop is %g; a volume of 0 or more mm^3 is expected", out->drop));
}
