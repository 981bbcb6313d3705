/* bench_batch.c - processor time of batches, by augmentation: bench_batch [2|3 [DATA[:DIR] [WORD ..]]], axes
 * of the samples (256x256 or 112x112x80, one channel) and a data set as netrun train names it (phantom). For
 * a batch without augmentation, for each augmentation alone in every sample, and for the list of all of them,
 * or of the given words, as drawn by default and in every sample: milliseconds per sample on one thread, the
 * least of several rounds over the same samples, and a hash of images and labels, which tells whether a
 * change of the code changed bits. Items are read before. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "runtime/batch/sampling.h"
#include "tests/runtime/streams.h"

enum { SAMPLES = 32, ROUNDS = 3 };

/* Processor time of this thread: others may be using the machine. */
static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void fail(const char *what) {
  fprintf(stderr, "%s\n", what);
  exit(1);
}

static uint64_t fnv(uint64_t h, const void *data, size_t n) {
  for (const uint8_t *p = data; n > 0; n--) h = (h ^ *p++) * 1099511628211u;
  return h;
}

/* SAMPLES samples, as batches of one, so that it does not matter how many items there are. */
static uint64_t make(Sampler *s, const BatchField field[2], int64_t n, uint64_t h, int64_t *count) {
  char err[ERR_MAX];
  for (uint64_t t = 0; t < SAMPLES; t++) {
    if (!sampler_batch(s, t, field, 2, err)) fail(err);
    if (count) h = fnv(fnv(h, field[0].dst, (size_t)n * 4), field[1].dst, (size_t)n * 4), ++*count;
  }
  return h;
}

static double measure(Dataset *d, const char *name, const NetcAugment *list, int n, double base) {
  char err[ERR_MAX];
  NetcStream stream = {.name = "bench", .source = NETC_SRC_LABELED, .augments = list, .naugments = n};
  Sampler *s = sampler_new(d, &stream, 0, 1, err);
  if (!s) fail(err);
  BatchField field[2] = {{NETC_FIELD_IMAGE, 1, malloc((size_t)s->count * 4)},
                         {NETC_FIELD_LABEL, 1, malloc((size_t)s->count * 4)}};
  if (!field[0].dst || !field[1].dst) fail("not enough memory");
  int64_t count = 0;
  uint64_t h = make(s, field, s->count, 14695981039346656037u, &count); /* and reads the items */
  double least = 1e30;
  for (int r = 0; r < ROUNDS; r++) {
    double begin = now();
    make(s, field, s->count, 0, NULL);
    double took = (now() - begin) / (double)count;
    least = took < least ? took : least;
  }
  printf("%-22s %9.3f ms %9.3f beyond   %016" PRIx64 "\n", name, 1e3 * least, 1e3 * (least - base), h);
  fflush(stdout);
  free(field[0].dst), free(field[1].dst), sampler_free(s);
  return least;
}

static NetcAugment always(NetcAugment a) {
  if (a.kind != NETC_AUG_FLIP) a.p = 1;
  if (a.kind == NETC_AUG_BLUR || a.kind == NETC_AUG_LOWRES) a.value[2] = 1;
  return a;
}

/* Of all augmentations the words, or all. `sure`: in every sample. */
static void measure_list(Dataset *d, char **word, int words, bool sure, double base) {
  NetcAugment list[NETC_AUGMENT_MOST];
  int n = 0;
  for (int k = 0; k < BATCH_AUGMENTS; k++) {
    bool wanted = !words;
    for (int w = 0; w < words; w++) wanted |= !strcmp(word[w], batch_augment[k].word);
    if (!wanted) continue;
    list[n] = augment_with(k, 0, NULL);
    if (sure) list[n] = always(list[n]);
    n++;
  }
  measure(d, sure ? "list, always" : "list, as by default", list, n, base);
}

static const char *value_after(int argc, char **argv, int i, const char *otherwise) {
  return argc > i ? argv[i] : otherwise;
}

int main(int argc, char **argv) {
  char err[ERR_MAX];
  bool flat = value_after(argc, argv, 1, "3")[0] == '2';
  DataShape shape = {.spatial = 3, .channels = 1, .size = {112, 112, 80}, .classes = 2};
  if (flat) shape = (DataShape){.spatial = 2, .channels = 1, .size = {256, 256}, .classes = 2};
  Dataset *d = data_open(value_after(argc, argv, 2, "phantom"), &shape, err);
  if (!d) fail(err);
  double base = measure(d, "none", NULL, 0, 0);
  for (int k = 0; argc < 4 && k < BATCH_AUGMENTS; k++) {
    NetcAugment a = always(augment_with(k, 0, NULL));
    measure(d, batch_augment[k].word, &a, 1, base);
  }
  for (int sure = 0; sure < 2; sure++) measure_list(d, argv + 3, argc > 3 ? argc - 3 : 0, sure, base);
  data_close(d);
  return 0;
}
