/* validation.c - what a module says of how its runs validate: checked and told. */
#include <inttypes.h>
#include <string.h>
#include "runtime/session/checkpoint.h"
#include "runtime/session/validation.h"

enum { COUNTS, DISTANCES, AREAS };
static const struct {
  const char *column;
  int made;
} metric[] = {
#define METRIC(name, column, made) {column, made},
#include "ir/metrics.def"
#undef METRIC
};

static bool chooses(const char *column) {
  for (size_t i = 0; i < sizeof metric / sizeof *metric; i++)
    if (strcmp(metric[i].column, column) == 0) return metric[i].made != AREAS;
  return false;
}

bool validation_check(const NetcModule *d, char err[ERR_MAX]) {
  const NetcValidation *v = d->validation;
  if (!v) return true;
  if (v->every < 0) return err_set(err, "validation comes every %" PRId64 " iterations", v->every);
  if (v->best && !chooses(v->best))
    return err_set(err, "validation keeps weights by `%.40s`, which is no metric for it", v->best);
  /* Its spelling is checked where cases are divided: the command line says it in the same words. */
  return !v->val || (*v->val && strlen(v->val) < sizeof((Progress *)0)->val) ||
         err_set(err, "validation on `%.40s` of the training cases makes no sense", v->val);
}

void validation_tell(const NetcValidation *v, FILE *out) {
  if (!v) return;
  fprintf(out, "  validation       ");
  if (v->every) fprintf(out, "every %" PRId64 " iterations", v->every);
  else fprintf(out, "only with --eval-every");
  if (v->best) fprintf(out, ", the weights of the best %s are kept", v->best);
  else fprintf(out, ", no weights are kept as the best");
  if (v->val) fprintf(out, ", on %s of the training cases where the data set has none for it", v->val);
  fprintf(out, "\n");
}
