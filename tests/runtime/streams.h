/* streams.h - streams of a module that tests write by hand. */
#ifndef NETC_TEST_STREAMS_H
#define NETC_TEST_STREAMS_H
#include <math.h>
#include <string.h>
#include "runtime/base/augment.h"

/* An augmentation with its first parameters; the others, and p, are the table's. */
static inline NetcAugment augment_with(int kind, int given, const double *value) {
  NetcAugment a = {.kind = kind, .p = batch_augment[kind].p};
  for (int i = 0; i < NETC_AUGMENT_VALUES && batch_augment[kind].param[i].name; i++) {
    double initial = batch_augment[kind].param[i].initial;
    a.value[i] = i < given ? value[i] : isnan(initial) ? a.value[i - 1] : initial;
  }
  return a;
}

/* One that every sample has: augment_always(NETC_AUG_BLUR, 0.5, 1.0, 1.0). */
#define augment_always(kind, ...)                                                                            \
  augment_sure(                                                                                              \
      augment_with(kind, (int)(sizeof((double[]){__VA_ARGS__}) / sizeof(double)), (double[]){__VA_ARGS__}))
static inline NetcAugment augment_sure(NetcAugment a) { return a.p = 1, a; }

/* The words of a list, as "flip rot90". It stays until the fourth call from here. */
static inline NetcStream stream_of_words(int source, const char *words) {
  static NetcAugment list[4][NETC_AUGMENT_MOST];
  static int at;
  NetcAugment *a = list[at = (at + 1) % 4];
  NetcStream s = {.name = "test", .source = source, .augments = a};
  for (size_t n; *words; words += n + (words[n] == ' ')) {
    n = strcspn(words, " ");
    for (int k = 0; k < BATCH_AUGMENTS; k++)
      if (strlen(batch_augment[k].word) == n && !strncmp(batch_augment[k].word, words, n))
        a[s.naugments++] = augment_with(k, 0, NULL);
  }
  return s;
}
#endif
