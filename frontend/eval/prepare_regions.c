/* prepare_regions.c - the setting `regions` of prepare: unions of classes of `labels`, which may overlap. */
#include <string.h>
#include "frontend/eval/eval.h"

static const char *class_names(Eval *c, const Prepare *p) {
  const char *s = "";
  for (int i = 1; i < p->nclass; i++)
    s = arena_printf(c->arena, "%s%s%s", s, i > 1 ? ", " : "", p->class_name[i]);
  return s;
}

/* The class of that name joins region r. */
static bool add_class(Eval *c, const Ast *at, Value v, const Prepare *p, int r, uint8_t *member) {
  if (v.kind != V_STR)
    return eval_error(c, at, "a region is a list of names of classes, [\"oedema\", \"core\"], not of %s",
                      value_str(c, v));
  for (int i = 0; i < p->nclass; i++) {
    if (strcmp(p->class_name[i], v.u.str)) continue;
    if (i == 0) return eval_error(c, at, "background belongs to no region: it is what lies outside of all");
    return member[i] |= (uint8_t)(1u << r), true;
  }
  return eval_error(c, at, "labels has no class \"%s\"; it has %.200s", v.u.str, class_names(c, p));
}

static bool add_region(Eval *c, const Ast *at, const Entry *e, Prepare *p, uint8_t *member) {
  if (e->key.kind != V_STR || !*e->key.u.str)
    return eval_error(c, at, "a region has a name, such as \"tumour\", not %s", value_str(c, e->key));
  for (int r = 0; r < p->nregion; r++)
    if (!strcmp(p->region[r], e->key.u.str))
      return eval_error(c, at, "two regions are called \"%s\"", e->key.u.str);
  bool list = e->value.kind == V_LIST;
  int n = list ? e->value.u.list->n : 1;
  if (n == 0) return eval_error(c, at, "the region \"%s\" has no classes", e->key.u.str);
  for (int i = 0; i < n; i++)
    if (!add_class(c, at, list ? e->value.u.list->v[i] : e->value, p, p->nregion, member)) return false;
  return p->region[p->nregion++] = e->key.u.str, true;
}

/* Masks of classes must give every class back, or another one of the same regions. */
static bool check_order(Eval *c, const Ast *at, const Prepare *p) {
  int lost = class_lost(p);
  if (!lost) return true;
  int as = class_of_regions(p, p->member[lost]);
  return eval_error(c, at,
                    "the class \"%s\" would be written as \"%s\", whose regions are others: of regions that "
                    "overlap the later one decides, so larger ones come first",
                    p->class_name[lost], p->class_name[as]);
}

bool set_regions(Eval *c, const Ast *at, Value v, Prepare *p) {
  if (v.kind == V_NONE) return true;
  if (v.kind != V_MAP)
    return eval_error(
        c, at,
        "regions is a map from names to lists of classes of labels, {\"whole\": [\"oedema\", \"core\"], "
        "\"core\": [\"core\"]}, or none, not %s",
        value_str(c, v));
  const Map *m = v.u.map;
  if (!p->nclass) return eval_error(c, at, "regions are made of the classes of labels, which are not given");
  if (m->n < 1 || m->n > MAX_REGIONS)
    return eval_error(c, at, "regions has %d; from 1 to %d are possible", m->n, MAX_REGIONS);
  uint8_t *member = arena_alloc(c->arena, (size_t)p->nclass);
  p->region = arena_alloc(c->arena, (size_t)m->n * sizeof *p->region);
  p->member = member;
  for (int i = 0; i < m->n; i++)
    if (!add_region(c, m->e[i].at ? m->e[i].at : at, &m->e[i], p, member)) return false;
  return check_order(c, at, p);
}
