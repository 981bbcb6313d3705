/* summary.c - what was found, in a few lines. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "runtime/data/internal.h"

enum { HEADERS_READ = 256, ODDITIES_TOLD = 5 };

typedef struct {
  int64_t lo[3], hi[3];
  int read;
} Sizes;

/* Sizes of the images, of HEADERS_READ of them where there are more, evenly spread. Files that cannot be read
 * are told when they are loaded. */
static Sizes sizes_of(const Found *f) {
  Sizes s = {.read = 0};
  char err[ERR_MAX];
  int n = f->n < HEADERS_READ ? f->n : HEADERS_READ;
  for (int i = 0; i < n; i++) {
    const FoundItem *it = &f->item[(int64_t)i * f->n / n];
    Image image;
    if (!image_read(it->file[0], &(Wish){.header = true, .axes = it->axes}, &image, err)) continue;
    for (int a = 0; a < 3; a++) {
      int64_t d = image.grid.dim[a];
      if (!s.read || d < s.lo[a]) s.lo[a] = d;
      if (!s.read || d > s.hi[a]) s.hi[a] = d;
    }
    s.read++;
  }
  return s;
}

static void print_sizes(const Sizes *s, int axes, FILE *out) {
  for (int a = 0; a < axes; a++) {
    fprintf(out, "%s%" PRId64, a ? " x " : "", s->lo[a]);
    if (s->hi[a] != s->lo[a]) fprintf(out, "..%" PRId64, s->hi[a]);
  }
}

/* Of many oddities of a kind the first few are told. */
static void print_oddities(const Found *f, FILE *out) {
  for (OddityKind kind = 0; kind < ODDITIES; kind++) {
    int n = 0;
    for (int i = 0; i < f->noddity; i++)
      if (f->oddity[i].kind == kind && n++ < ODDITIES_TOLD) fprintf(out, "  %s\n", f->oddity[i].text);
    if (n > ODDITIES_TOLD)
      fprintf(out, "  .. and %d more %s (netrun check lists them)\n", n - ODDITIES_TOLD, oddity_name[kind]);
  }
}

void data_print_summary(const Dataset *d, FILE *out) {
  const DataImpl *m = d->impl;
  const Found *f = &m->found;
  if (!d->root) return;
  Sizes s = sizes_of(f);
  bool pictures = f->n && f->item[0].picture;
  fprintf(out, "%s: %s; %d %s, %d with masks", d->root, f->layout, f->n, pictures ? "pictures" : "volumes",
          f->labeled);
  if (s.read) fprintf(out, "; sizes%s ", s.read < f->n ? " (of some)" : "");
  if (s.read) print_sizes(&s, pictures ? 2 : 3, out);
  for (int i = 0; f->channel && i < f->nchannel; i++)
    fprintf(out, "%s%s", i ? ", " : "; channels ", f->channel[i] ? f->channel[i] : "?");
  fputc('\n', out);
  print_oddities(f, out);
}
