/* augment.c - augmentations in the language: rotate(15) and its like are values, a batch's augment and strong
 * are lists of them (ir/augment.def). */
#include <math.h>
#include <string.h>
#include "frontend/eval/eval.h"

static Value make_value(Eval *c, Augment a) {
  Augment *own = arena_alloc(c->arena, sizeof *own);
  *own = a;
  return (Value){V_AUGMENT, {.augment = own}};
}

Value plain_augment(Eval *c, const char *word) {
  return make_value(c, augment_of((AugmentKind)augment_by_name(word), 0, NULL));
}

/* Arguments in the order of the table, p behind them; those left out as the table says. */
static Value make_augment(Eval *c, const Ast *at, Value *arg) {
  AugmentKind kind = (AugmentKind)augment_by_name(c->who);
  int n = augment_params(kind);
  double value[AUGMENT_VALUES + 1];
  char why[IR_ERR];
  for (int i = 0; i <= n; i++) {
    const char *name = i < n ? augment_info[kind].param[i].name : "p";
    value[i] = NAN;
    if (arg_given(arg[i]) && !arg_num(c, at, name, arg[i], &value[i])) return v_poison();
    if (arg_given(arg[i]) && isnan(value[i])) return eval_fail(c, at, "%s: %s is no number", c->who, name);
  }
  Augment a = augment_of(kind, n, value);
  if (arg_given(arg[n])) a.p = value[n];
  return augment_check(&a, why) ? make_value(c, a) : eval_fail(c, at, "%s", why);
}

/* "NAME? NAME? p?" */
#define NONE
#define PARAM(name, initial, least, most) name "? "
#define UPTO(name, initial, least, most)  name "? "
#define JOIN3(a, b, c, ...)               a b c
#define JOIN(...)                         JOIN3(__VA_ARGS__, "", "", "")
const Builtin builtins_augment[] = {
#define AUGMENT(name, word, content, maker, p, meaning, ...)                                                 \
  {word, JOIN(__VA_ARGS__) "p?", false, make_augment},
#include "ir/augment.def"
#undef AUGMENT
    {NULL, NULL, false, NULL},
};

/* What stands in a list: a call's value, or a word, quoted or not. */
static bool element(Eval *c, const Ast *at, Value v, bool strong, Augment *out) {
  if (v.kind == V_AUGMENT) return *out = *v.u.augment, true;
  if (v.kind != V_STR)
    return eval_error(c, at, "an augmentation is a word, or a call as rotate(15), not %s", kind_str(v));
  int kind = augment_by_name(v.u.str);
  if (kind < 0)
    return eval_error(c, at, "augmentation \"%.40s\" is unknown; there are %s", v.u.str,
                      augment_words(c->arena, strong));
  *out = augment_of((AugmentKind)kind, 0, NULL);
  return true;
}

bool arg_augments(Eval *c, const Ast *at, Value v, bool strong, const Augment **out, int *n) {
  const char *what = strong ? "strong" : "augment";
  char why[IR_ERR];
  if (v.kind != V_LIST)
    return eval_error(c, at, "%s is a list, as [\"%s\", %s], not %s", what, strong ? "cutout" : "flip",
                      strong ? "blur(0.5, 1)" : "rotate(15)", kind_str(v));
  if (v.u.list->n > AUGMENT_MOST)
    return eval_error(c, at, "at most %d augmentations are possible", AUGMENT_MOST);
  Augment *list = arena_alloc(c->arena, AUGMENT_MOST * sizeof *list);
  const Ast *each = at->a && at->a->kind == N_LIST ? at->a->list : NULL;
  for (int i = 0; i < v.u.list->n; i++, each = each ? each->next : NULL) {
    const Ast *where = each ? each : at;
    if (!element(c, where, v.u.list->v[i], strong, &list[i])) return false;
    if (!augment_list_check(list, i + 1, strong, why)) return eval_error(c, where, "%s", why);
  }
  return *out = list, *n = v.u.list->n, true;
}

bool arg_foreground(Eval *c, const Ast *at, Value v, double *out) {
  if (!arg_num(c, at, "foreground", v, out)) return false;
  return (*out >= 0 && *out <= 1) ||
         eval_error(c, at, "foreground is the fraction of samples around foreground, from 0 to 1; it is %s",
                    value_str(c, v));
}

bool check_views(Eval *c, const Ast *at, const Stream *s) {
  bool has = false, crops = s->field[0].type.rank == 5;
  for (int i = 0; i < s->nfield; i++) has |= s->field[i].kind == FIELD_STRONG;
  for (int i = 0; i < s->naugment; i++) crops |= s->augment[i].kind == AUG_CROP;
  if (s->nstrong && !has)
    return eval_error(c, at, "the batch lists strong augmentations, but has no field strong: f32[..]");
  if (has && !s->nstrong)
    return eval_error(c, at,
                      "the field strong is the image with further augmentations: write batch %s (strong = "
                      "[brightness, blur, cutout])",
                      s->name);
  if (s->foreground > 0 && s->source == SRC_UNLABELED)
    return eval_error(c, at, "foreground needs masks, and unlabelled images come without");
  if (s->foreground > 0 && !crops)
    return eval_error(c, at, "foreground says where patches lie; in 2-D only a batch with \"crop\" has some");
  return true;
}
