/* prepare_labels.c - the setting `labels` of prepare: values and colours of mask files to classes. */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "frontend/eval/eval.h"

typedef struct {
  LabelRule *rule;
  const char **name;
  int nrule, nname, caprule, capname;
} Labels;

static int class_number(const Labels *l, const char *name) {
  for (int i = 0; i < l->nname; i++)
    if (!strcmp(l->name[i], name)) return i;
  return -1;
}

static bool class_of(Eval *c, const Ast *at, Labels *l, Value v, int32_t *out) {
  if (v.kind != V_STR || !*v.u.str)
    return eval_error(
        c, at, "a label is mapped to the name of a class, such as \"liver\", or to \"ignore\", not to %s",
        value_str(c, v));
  if (!strcmp(v.u.str, "ignore")) return *out = CLASS_IGNORED, true;
  *out = class_number(l, v.u.str);
  if (*out >= 0) return true;
  if (l->nname == MAX_CLASSES) return eval_error(c, at, "labels has more than %d classes", MAX_CLASSES);
  *out = l->nname;
  *ARENA_PUSH(c->arena, l->name, l->nname, l->capname) = v.u.str;
  return true;
}

static bool is_colour(const char *s) {
  if (*s != '#' || strlen(s) != 7) return false;
  for (int i = 1; i < 7; i++)
    if (!isxdigit((unsigned char)s[i])) return false;
  return true;
}

static bool key_of(Eval *c, const Ast *at, Value key, LabelRule *r) {
  *r = (LabelRule){.colour = NO_COLOUR};
  const double most = 9007199254740992.0; /* 2^53: whole numbers are exact up to it */
  if (key.kind == V_NUM && key.u.num == floor(key.u.num) && fabs(key.u.num) <= most)
    return r->value = (int64_t)key.u.num, true;
  if (key.kind == V_STR && is_colour(key.u.str))
    return r->colour = (int32_t)strtol(key.u.str + 1, NULL, 16), true;
  return eval_error(c, at,
                    "a mask's value is a whole number, such as 63, or a colour, such as \"#ff0000\", not %s",
                    value_str(c, key));
}

static bool add_rule(Eval *c, const Ast *at, Labels *l, Value key, Value name) {
  LabelRule r;
  if (!key_of(c, at, key, &r) || !class_of(c, at, l, name, &r.cls)) return false;
  for (int i = 0; i < l->nrule; i++)
    if (l->rule[i].colour == r.colour && l->rule[i].value == r.value)
      return eval_error(c, at, "the value %s has a class already", value_str(c, key));
  *ARENA_PUSH(c->arena, l->rule, l->nrule, l->caprule) = r;
  return true;
}

/* ["background", "liver"] is {0: "background", 1: "liver"}. */
static Value numbered(Eval *c, const Ast *at, const List *names) {
  Map *m = arena_alloc(c->arena, sizeof *m + (size_t)names->n * sizeof *m->e);
  for (int i = 0; i < names->n; i++) m->e[m->n++] = (Entry){v_num(i), names->v[i], at};
  return (Value){V_MAP, {.map = m}};
}

static bool has_background(const Map *m) {
  for (int i = 0; i < m->n; i++)
    if (m->e[i].value.kind == V_STR && !strcmp(m->e[i].value.u.str, "background")) return true;
  return false;
}

bool set_labels(Eval *c, const Ast *at, Value v, Prepare *p) {
  Labels l = {0};
  if (v.kind == V_NONE) return true;
  if (v.kind == V_LIST) v = numbered(c, at, v.u.list);
  if (v.kind != V_MAP)
    return eval_error(
        c, at,
        "labels is a map from the masks' values to classes, {0: \"background\", 1: \"liver\"}, a list of "
        "classes, [\"background\", \"liver\"], or none, not %s",
        value_str(c, v));
  if (!has_background(v.u.map))
    return eval_error(c, at, "labels says of no value that it is \"background\", which class 0 is");
  *ARENA_PUSH(c->arena, l.name, l.nname, l.capname) = "background";
  for (int i = 0; i < v.u.map->n; i++) {
    const Entry *e = &v.u.map->e[i];
    if (!add_rule(c, e->at ? e->at : at, &l, e->key, e->value)) return false;
  }
  if (l.nname < 2) return eval_error(c, at, "labels has one class, background; two are needed at least");
  p->label = l.rule, p->nlabel = l.nrule;
  p->class_name = l.name, p->nclass = l.nname;
  return true;
}
