/* augment.c - augmentations of batches: their table (ir/augment.def), and what a list of them may be. */
#include <math.h>
#include <string.h>
#include "ir/augment.h"

enum { PLACE = true, VALUE = false, BY_HOST = false, BY_DEVICE = true };
#define SAME NAN
#define NONE                                                                                                 \
  { NULL, 0, 0, 0, false }
#define PARAM(name, initial, least, most)                                                                    \
  { name, initial, least, most, false }
#define UPTO(name, initial, least, most)                                                                     \
  { name, initial, least, most, true }
const AugmentInfo augment_info[AUGMENTS] = {
#define AUGMENT(name, word, content, maker, p, meaning, ...)                                                 \
  [AUG_##name] = {word, content, maker, p, meaning, {__VA_ARGS__}},
#include "ir/augment.def"
#undef AUGMENT
};

int augment_by_name(const char *word) {
  for (int i = 0; i < AUGMENTS; i++)
    if (!strcmp(augment_info[i].word, word)) return i;
  return -1;
}

int augment_params(AugmentKind kind) {
  int n = 0;
  while (n < AUGMENT_VALUES && augment_info[kind].param[n].name) n++;
  return n;
}

Augment augment_of(AugmentKind kind, int given, const double *value) {
  Augment a = {.kind = kind, .p = augment_info[kind].p};
  for (int i = 0; i < augment_params(kind); i++) {
    double initial = augment_info[kind].param[i].initial;
    a.value[i] = i < given && !isnan(value[i]) ? value[i] : isnan(initial) ? a.value[i - 1] : initial;
  }
  return a;
}

bool augment_plain(const Augment *a) {
  Augment plain = augment_of(a->kind, 0, NULL);
  bool same = a->p == plain.p;
  for (int i = 0; i < AUGMENT_VALUES; i++) same &= a->value[i] == plain.value[i];
  return same;
}

static bool within(const char *word, const char *name, double v, double least, double most,
                   char err[IR_ERR]) {
  if (v >= least && v <= most) return true;
  return ir_error(err, "%s: %s must be from %g to %g, it is %g", word, name, least, most, v);
}

bool augment_check(const Augment *a, char err[IR_ERR]) {
  const AugmentInfo *info = &augment_info[a->kind];
  if (!within(info->word, "p", a->p, 0, 1, err)) return false;
  for (int i = 0; i < augment_params(a->kind); i++) {
    const AugmentParam *q = &info->param[i];
    if (!within(info->word, q->name, a->value[i], q->least, q->most, err)) return false;
    if (q->upto && a->value[i] < a->value[i - 1])
      return ir_error(err, "%s: %s is %g, less than %s, which is %g", info->word, q->name, a->value[i],
                      q[-1].name, a->value[i - 1]);
  }
  return true;
}

bool augment_list_check(const Augment *a, int n, bool strong, char err[IR_ERR]) {
  if (n > AUGMENT_MOST) return ir_error(err, "at most %d augmentations are possible", AUGMENT_MOST);
  for (int i = 0; i < n; i++) {
    const AugmentInfo *info = &augment_info[a[i].kind];
    if (!augment_check(&a[i], err)) return false;
    if (strong && info->place)
      return ir_error(err, "%s moves the image; strong lists what changes its numbers alone", info->word);
    for (int j = 0; info->place && j < i; j++)
      if (a[j].kind == a[i].kind)
        return ir_error(err, "%s stands in the list twice; a sample is taken in one way", info->word);
  }
  return true;
}

const char *augment_words(Arena *arena, bool strong) {
  const char *text = "";
  for (int i = 0; i < AUGMENTS; i++)
    if (!strong || !augment_info[i].place)
      text = arena_printf(arena, "%s%s%s", text, *text ? ", " : "", augment_info[i].word);
  return text;
}
