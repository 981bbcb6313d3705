/* augment.c - the table of augmentations as the runtime sees it. */
#include <math.h>
#include "runtime/base/augment.h"

enum { PLACE = true, VALUE = false, BY_HOST = false, BY_DEVICE = true };
#define SAME NAN
#define NONE                                                                                                 \
  { NULL, 0, 0, 0, false }
#define PARAM(name, initial, least, most)                                                                    \
  { name, initial, least, most, false }
#define UPTO(name, initial, least, most)                                                                     \
  { name, initial, least, most, true }
const BatchAugmentInfo batch_augment[BATCH_AUGMENTS] = {
#define AUGMENT(name, word, content, maker, p, meaning, ...)                                                 \
  [NETC_AUG_##name] = {word, content, maker, p, meaning, {__VA_ARGS__}},
#include "ir/augment.def"
#undef AUGMENT
};

static bool valid(const NetcAugment *a) {
  if (a->kind < 0 || a->kind >= BATCH_AUGMENTS || !(a->p >= 0 && a->p <= 1)) return false;
  for (int i = 0; i < NETC_AUGMENT_VALUES; i++) {
    const BatchAugmentParam *q = &batch_augment[a->kind].param[i];
    if (!q->name) break;
    if (!(a->value[i] >= q->least && a->value[i] <= q->most)) return false;
    if (q->upto && a->value[i] < a->value[i - 1]) return false;
  }
  return true;
}

bool augments_valid(const NetcAugment *a, int n) {
  if (n < 0 || n > NETC_AUGMENT_MOST || (n && !a)) return false;
  for (int i = 0; i < n; i++)
    if (!valid(&a[i])) return false;
  return true;
}

void augment_show(FILE *out, const NetcAugment *a) {
  const BatchAugmentInfo *info = &batch_augment[a->kind];
  bool plain = a->p == info->p;
  double before = 0;
  for (int i = 0; i < NETC_AUGMENT_VALUES && info->param[i].name; i++) {
    double initial = isnan(info->param[i].initial) ? before : info->param[i].initial;
    plain &= a->value[i] == initial, before = initial;
  }
  fputs(info->word, out);
  if (plain) return;
  fputc('(', out);
  for (int i = 0; i < NETC_AUGMENT_VALUES && info->param[i].name; i++) fprintf(out, "%g, ", a->value[i]);
  fprintf(out, "p = %g)", a->p);
}
