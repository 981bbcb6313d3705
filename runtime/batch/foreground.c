/* foreground.c - the index of a mask's foreground. */
#include <stdlib.h>
#include "runtime/batch/foreground.h"
#include "runtime/prepare/recipe.h"

struct Foreground {
  int classes,
      begin[CLASS_IGNORE + 1]; /* class number k of those there: element[begin[k]..begin[k + 1] - 1] */
  int32_t element[];
};

/* How many of a class that has `have` are kept, where each may keep `most`. */
static int64_t kept(int64_t have, int64_t most) { return have < most ? have : most; }

int64_t foreground_most(int64_t items) {
  const int64_t all = (int64_t)256 << 20, least = 256, each = all / 4 / (items > 0 ? items : 1);
  return each > FOREGROUND_MOST ? FOREGROUND_MOST : each < least ? least : each;
}

Foreground *foreground_new(const uint8_t *mask, int64_t n, int64_t most) {
  int64_t have[256] = {0}, seen[256] = {0}, total = 0;
  int place[256], classes = 0;
  for (int64_t i = 0; mask && i < n; i++) have[mask[i]]++;
  have[0] = have[CLASS_IGNORE] = 0;
  for (int c = 1; c < CLASS_IGNORE; c++) classes += have[c] > 0;
  most = classes ? most / classes : 0;
  for (int c = 1; c < CLASS_IGNORE; c++) total += kept(have[c], most);
  Foreground *f = malloc(sizeof *f + (size_t)total * sizeof *f->element);
  if (!f) return NULL;
  f->classes = 0, f->begin[0] = 0;
  for (int c = 1; c < CLASS_IGNORE; c++) {
    if (!have[c]) continue;
    place[c] = f->begin[f->classes];
    f->begin[f->classes + 1] = place[c] + (int)kept(have[c], most);
    f->classes++;
  }
  /* Of the elements of a class, that with number j is kept when j * kept / have reaches the next number. */
  for (int64_t i = 0; mask && i < n; i++) {
    int c = mask[i];
    if (!have[c]) continue;
    int64_t k = kept(have[c], most), j = seen[c]++;
    if (j * k / have[c] != (j + 1) * k / have[c]) f->element[place[c]++] = (int32_t)i;
  }
  return f;
}

int64_t foreground_draw(const Foreground *f, const Chance *d) {
  if (!f || !f->classes) return -1;
  int k = (int)(chance_at(d, NETC_SITE_FOREGROUND, 2 * d->sample) * f->classes);
  int n = f->begin[k + 1] - f->begin[k];
  return f->element[f->begin[k] + (int)(chance_at(d, NETC_SITE_FOREGROUND, 2 * d->sample + 1) * n)];
}
