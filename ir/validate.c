/* validate.c - how the runs of a program validate: the metrics there are, what must hold, the text form. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "ir/tokens.h"
#include "ir/validate.h"

enum { COUNTS, DISTANCES, AREAS };
const BestInfo best_info[BEST_KINDS] = {
#define METRIC(name, column, made) {#name, column, made == AREAS},
#include "ir/metrics.def"
#undef METRIC
};

BestKind best_named(const char *word) {
  int i = 0;
  while (i < BEST_KINDS && strcasecmp(word, best_info[i].name) && strcasecmp(word, best_info[i].column)) i++;
  return (BestKind)i;
}

bool val_part_ok(const char *how) {
  char *end;
  double amount = strtod(how, &end);
  if (strspn(how, "0123456789.") != (size_t)(end - how) || !(amount > 0)) return false; /* no 0x1, no inf */
  if (*end == '%') return !end[1] && amount < 100;
  return !*end && amount == floor(amount) && amount < 1e9;
}

static const Fn *function_of(const Program *p, FnKind kind) {
  for (int i = 0; i < p->nfn; i++)
    if (p->fn[i]->kind == kind) return p->fn[i];
  return NULL;
}

bool validation_verify(const Program *prog, const Validation *v, char err[IR_ERR]) {
  if (v->every < 0) return ir_error(err, "validate: the iterations between are below 0");
  if ((int)v->best < 0 || v->best > BEST_NONE) return ir_error(err, "validate: no metric %d", (int)v->best);
  if (v->best < BEST_KINDS && best_info[v->best].tolerance)
    return ir_error(err, "validate: %s needs a tolerance", best_info[v->best].column);
  if (v->val && !val_part_ok(v->val))
    return ir_error(err, "validate: \"%.40s\" is no part of the training cases", v->val);
  if (!function_of(prog, FN_TRAIN)) return ir_error(err, "validate: the program has no training function");
  return !v->every || function_of(prog, FN_PREDICT) ||
         ir_error(err, "validate: the program has no function predict to score");
}

/* ---- the text form ---- */

void validation_print(FILE *out, const Validation *v) {
  fprintf(out, "validate every %lld", (long long)v->every);
  if (v->best < BEST_KINDS) fprintf(out, " best %s", best_info[v->best].name);
  if (v->val) fputs(" val ", out), print_string(out, v->val);
  fputc('\n', out);
}

void validation_parse(Parser *p) {
  static const char *const word_best[] = {
#define METRIC(name, column, made) #name,
#include "ir/metrics.def"
#undef METRIC
      NULL};
  const char *from = p->at;
  if (p->prog->validation) fail_at(p, from, "a program validates in one way");
  Validation *v = arena_alloc(p->arena, sizeof *v);
  *v = (Validation){.best = BEST_NONE};
  expect_word(p, "every");
  v->every = integer(p, 0, INT64_MAX);
  if (accept_word(p, "best")) v->best = (BestKind)choice(p, word_best, "a metric");
  if (accept_word(p, "val")) v->val = string(p);
  p->prog->validation = v;
}
