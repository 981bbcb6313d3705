/* validate.c - what stands behind the name of train: how its runs validate, and which weights they keep. It
 * is checked here and handed on (ir/validate.h); nothing is computed by it. */
#include <string.h>
#include "frontend/eval/eval.h"

static bool is_none(Value v) { return v.kind == V_NONE || (v.kind == V_STR && !strcmp(v.u.str, "none")); }

static bool set_every(Eval *c, const Ast *at, Value v, Validation *to) {
  return is_none(v) || arg_int(c, at, "validate", v, 0, (int64_t)1 << 40, &to->every);
}

/* "DI", "JA", .. or "none": those by which weights can be chosen. */
static const char *metric_names(Eval *c) {
  const char *s = "";
  for (int i = 0; i < BEST_KINDS; i++)
    if (!best_info[i].tolerance) s = arena_printf(c->arena, "%s\"%s\", ", s, best_info[i].column);
  return arena_printf(c->arena, "%sor \"none\"", s);
}

static bool set_best(Eval *c, const Ast *at, Value v, Validation *to) {
  if (is_none(v)) return to->best = BEST_NONE, true;
  to->best = v.kind == V_STR ? best_named(v.u.str) : BEST_KINDS;
  if (to->best == BEST_KINDS)
    return eval_error(c, at, "best is the metric by which weights are kept, %s; not %s", metric_names(c),
                      value_str(c, v));
  return !best_info[to->best].tolerance ||
         eval_error(c, at,
                    "best cannot be %s: it needs a tolerance, which only netrun eval takes; it is one of %s",
                    value_str(c, v), metric_names(c));
}

static bool set_val(Eval *c, const Ast *at, Value v, Validation *to) {
  if (v.kind == V_NONE) return true;
  to->val = v.kind == V_STR ? v.u.str : v.kind == V_NUM ? value_str(c, v) : "";
  return val_part_ok(to->val) ||
         eval_error(c, at,
                    "val is the part of the training cases that validates, a percentage as in \"20%%\" or a "
                    "number of cases; not %s",
                    value_str(c, v));
}

enum { SET_EVERY, SETTINGS = 3 };
static const struct {
  const char *name;
  bool (*set)(Eval *c, const Ast *at, Value v, Validation *to);
} settings[SETTINGS] = {[SET_EVERY] = {"validate", set_every}, {"best", set_best}, {"val", set_val}};

/* One argument; the settings given before it are marked in `given`. */
static bool exec_setting(Eval *c, const Ast *o, Validation *to, const Ast *given[SETTINGS]) {
  int i = 0;
  while (i < SETTINGS && (!o->name || strcmp(settings[i].name, o->name))) i++;
  if (i == SETTINGS)
    return eval_error(c, o, "train takes validate = ITERATIONS, best = \"METRIC\" and val = \"PART\"");
  if (given[i]) return eval_error(c, o, "'%s' is given twice", o->name);
  given[i] = o;
  Value v = eval_expr(c, o->a);
  return v.kind != V_POISON && settings[i].set(c, o->a, v, to);
}

void exec_validation(Eval *c, const Ast *train) {
  const Ast *given[SETTINGS] = {NULL};
  Validation *v = arena_alloc(c->arena, sizeof *v);
  *v = (Validation){.best = BEST_di};
  bool ok = true;
  for (const Ast *o = train->list2; o; o = o->next) ok &= exec_setting(c, o, v, given);
  if (!ok || !train->list2) return;
  if (!given[SET_EVERY]) {
    eval_fail(c, train->list2,
              "without validate = ITERATIONS nothing is validated; validate = 0 leaves it to --eval-every");
    return;
  }
  c->validate = given[SET_EVERY];
  c->prog->validation = v;
}

/* Batches and predict are of one size: a run scores the images that it loads. */
static void check_sizes(Eval *c, const Type *predicted) {
  char a[96], b[96];
  const Type *image = program_image(c->prog);
  bool same = image->rank == predicted->rank;
  for (int i = 1; i < image->rank && same; i++) same = image->dim[i] == predicted->dim[i];
  if (!same)
    eval_fail(c, c->validate,
              "predict takes %s, but the batches' images are %s: a run validates on images as "
              "it trains on",
              type_str(*predicted, a), type_str(*image, b));
}

void check_validation(Eval *c) {
  const Program *p = c->prog;
  if (!p->validation || !p->validation->every || c->diag.errors) return;
  for (int i = 0; i < p->nfn; i++)
    if (p->fn[i]->kind == FN_PREDICT) {
      check_sizes(c, &p->fn[i]->node[0].type);
      return;
    }
  eval_fail(c, c->validate, "what predict returns is what is validated, and the file has no predict");
}
