/* survey.c - all items of a data set, and what they come to together. */
#include "runtime/survey/survey.h"
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "runtime/base/pool.h"
#include "runtime/data/data.h"
#include "runtime/io/format.h"
#include "runtime/survey/item.h"

enum { ITEMS_AT_ONCE = 16, NAMES_TOLD = 8 };

const char *const survey_split_name[SURVEY_SPLITS] = {"train", "val", "test", "left out"};
const char *const complaint_name[COMPLAINTS] = {
#define COMPLAINT(name, text) #name,
#include "runtime/survey/complaints.def"
#undef COMPLAINT
};

/* ---- complaints ---- */

void complain(Complaints *c, const char *kind, bool stops, const char *fmt, ...) {
  char text[2 * ERR_MAX];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  if (c->n == c->room) {
    int room = c->room ? 2 * c->room : 8;
    Complaint *grown = realloc(c->list, (size_t)room * sizeof *grown);
    if (!grown) return;
    c->list = grown, c->room = room;
  }
  char *copy = strdup(text);
  if (copy) c->list[c->n++] = (Complaint){kind, stops, copy};
}

static void complaints_free(Complaints *c) {
  for (int i = 0; i < c->n; i++) free(c->list[i].text);
  free(c->list);
}

/* Takes "ROOT/" out of the text: files are named below the root. */
static void below_root(char *text, const char *root) {
  size_t n = strlen(root);
  for (char *at = text; (at = strstr(at, root));) {
    if (at[n] == '/') memmove(at, at + n + 1, strlen(at + n + 1) + 1);
    else at += n;
  }
}

static void collect_complaints(Survey *s) {
  for (int i = 0; i < s->found.noddity; i++) {
    static const char *const kind[ODDITIES] = {
#define ODDITY(name, text) #name,
#include "runtime/find/oddities.def"
#undef ODDITY
    };
    const Oddity *o = &s->found.oddity[i];
    complain(&s->complaints, kind[o->kind], o->fatal, "%s", o->text);
  }
  for (int i = 0; i < s->found.n; i++)
    for (int k = 0; k < s->item[i].complaints.n; k++) {
      const Complaint *c = &s->item[i].complaints.list[k];
      complain(&s->complaints, c->kind, c->stops, "%s", c->text);
    }
}

/* ---- reading ---- */

typedef struct {
  Survey *s;
  const SurveyOptions *o;
  int first;
} Batch;

static void survey_task(void *ctx, int64_t task) {
  const Batch *b = ctx;
  int i = b->first + (int)task;
  survey_item(&b->s->found.item[i], b->o, &b->s->item[i]);
}

/* Files of image and label are read by a process of their own, one at a time (runtime/io/child.c): more
 * threads gain nothing, and no process should be forked beside threads that allocate. */
static int threads_for(const Found *f, int threads) {
  for (int i = 0; i < f->n; i++) {
    const Format *format = format_of(f->item[i].file[0]);
    if (format && format->sets) return 1;
  }
  return threads;
}

static bool read_all(Survey *s, const SurveyOptions *o, char err[ERR_MAX]) {
  Pool *pool = pool_new(threads_for(&s->found, o->threads), err);
  bool shown = o->progress && isatty(fileno(o->progress));
  for (int i = 0; pool && i < s->found.n; i += ITEMS_AT_ONCE) {
    Batch b = {s, o, i};
    int n = s->found.n - i < ITEMS_AT_ONCE ? s->found.n - i : ITEMS_AT_ONCE;
    pool_run(pool, survey_task, &b, n);
    if (shown) fprintf(o->progress, "\r%d of %d images", i + n, s->found.n);
  }
  if (shown) fprintf(o->progress, "\r%*s\r", 40, "");
  pool_free(pool);
  return pool != NULL;
}

/* ---- all together ---- */

static int by_value(const void *a, const void *b) {
  const LabelCount *x = a, *y = b;
  return (x->value > y->value) - (x->value < y->value);
}

static void sum_labels(Survey *s) {
  for (int i = 0; i < s->found.n; i++) {
    s->masks += s->item[i].has_mask;
    for (int k = 0; k < s->item[i].nlabel; k++) {
      const LabelCount *l = &s->item[i].label[k];
      int at = 0;
      while (at < s->nlabel && s->label[at].value != l->value) at++;
      if (at == LABELS_COUNTED) continue;
      if (at == s->nlabel) s->label[s->nlabel++] = (LabelCount){.value = l->value};
      s->label[at].elements += l->elements, s->label[at].images++;
    }
  }
  qsort(s->label, (size_t)s->nlabel, sizeof *s->label, by_value);
}

/* Values that dataset.json gives no name. */
static void check_names(Survey *s) {
  for (int i = 0; s->found.nlabel && i < s->nlabel; i++) {
    double v = s->label[i].value;
    if (v >= 0 && v < s->found.nlabel && v == floor(v) && s->found.label[(int)v]) continue;
    complain(&s->complaints, "labels", false,
             "dataset.json: value %g (%d mask%s) has no name among its labels", v, s->label[i].images,
             s->label[i].images == 1 ? "" : "s");
  }
}

typedef struct {
  uint64_t hash;
  int item;
} Hashed;

static int by_hash(const void *a, const void *b) {
  const Hashed *x = a, *y = b;
  return x->hash != y->hash ? (x->hash > y->hash) - (x->hash < y->hash) : x->item - y->item;
}

/* Constant images are told as such. */
static void check_duplicates(Survey *s) {
  Hashed *h = calloc((size_t)s->found.n + 1, sizeof *h);
  int n = 0;
  for (int i = 0; h && i < s->found.n; i++)
    if (s->item[i].hash && s->item[i].lo < s->item[i].hi) h[n++] = (Hashed){s->item[i].hash, i};
  if (h) qsort(h, (size_t)n, sizeof *h, by_hash);
  for (int i = 0, same; i < n; i += same) {
    for (same = 1; i + same < n && h[i + same].hash == h[i].hash;) same++;
    if (same == 1) continue;
    const FoundItem *first = &s->found.item[h[i].item], *last = &s->found.item[h[i + same - 1].item];
    if (same == 2)
      complain(&s->complaints, "duplicate", false, "%s: the same content as %s", last->file[0],
               first->file[0]);
    else
      complain(&s->complaints, "duplicate", false, "%s .. %s: %d images have the same content",
               first->file[0], last->file[0], same);
  }
  free(h);
}

/* A data set without any masks is one to predict, unless there is a module to train. */
static void tell_unlabelled(Survey *s) {
  char text[ERR_MAX] = "";
  int n = 0;
  for (int i = 0; i < s->found.n; i++) {
    if (s->found.item[i].mask) continue;
    size_t at = strlen(text);
    if (n++ < NAMES_TOLD)
      snprintf(text + at, sizeof text - at, "%s%.48s", at ? ", " : "", s->found.item[i].name);
  }
  if (n)
    complain(&s->complaints, "unlabelled", s->classes && n == s->found.n, "%s%s: %d image%s without a mask",
             text, n > NAMES_TOLD ? ", .." : "", n, n == 1 ? "" : "s");
}

static int by_text(const void *a, const void *b) {
  const char *const *x = a, *const *y = b;
  return strcmp(*x, *y);
}

static void count_cases(Survey *s) {
  const char **name = calloc((size_t)s->found.n + 1, sizeof *name);
  for (int i = 0; name && i < s->found.n; i++) name[i] = s->found.item[i].patient;
  if (name) qsort(name, (size_t)s->found.n, sizeof *name, by_text);
  for (int i = 0; name && i < s->found.n; i++) s->cases += !i || strcmp(name[i], name[i - 1]);
  free(name);
}

/* ---- splits: those of the data set as training opens it ---- */

/* Is the item the image of this name, or one of its slices? */
static bool is_of(const char *item, const char *name) {
  size_t n = strlen(name);
  return !strncmp(item, name, n) && (!item[n] || !strncmp(item + n, "_z", 2));
}

/* Items come in the order of the images, some images without any. */
static void splits_of(const Dataset *d, const Found *f, SurveySplit *out) {
  for (int i = 0, at = 0; i < f->n; i++) {
    out[i] = SURVEY_OUT;
    for (; at < d->nitem && is_of(d->item[at].name, f->item[i].name); at++)
      out[i] = (SurveySplit)d->item[at].split;
  }
}

static void take_splits(Survey *s, const SurveyOptions *o) {
  const Surveyed *first = s->item;
  char err[ERR_MAX], spec[4200];
  if (found_fatal(&s->found) || !s->found.labeled || !first->read) return;
  DataShape shape = {.spatial = o->spatial ? o->spatial : first->spatial,
                     .channels = o->channels ? o->channels : 1,
                     .size = {1, 1, 1},
                     .classes = o->classes ? o->classes : 2,
                     .recipe = o->recipe};
  snprintf(spec, sizeof spec, "%s:%s", s->name, s->found.root);
  Dataset *d = data_open_split(spec, &shape,
                               &(SplitPlan){.case_by = o->case_by, .any_class = !o->recipe->class_name}, err);
  if (!d && !s->stops) complain(&s->complaints, "module", true, "%s", err);
  if (d) s->split = calloc((size_t)s->found.n + 1, sizeof *s->split);
  if (s->split) splits_of(d, &s->found, s->split);
  if (d) s->partial = data_partial(d);
  data_close(d);
}

static int count_stops(const Survey *s) {
  int n = 0;
  for (int i = 0; i < s->complaints.n; i++) n += s->complaints.list[i].stops;
  return n;
}

bool survey_run(const char *name, const char *root, const SurveyOptions *o, Survey *out, char err[ERR_MAX]) {
  const FindOptions find = {.spatial = o->spatial,
                            .case_by = o->case_by,
                            .channel = o->recipe->channel,
                            .nchannel = o->recipe->channel ? o->channels : 0};
  *out = (Survey){.name = strdup(name),
                  .values = !o->fast,
                  .spatial = o->spatial,
                  .channels = o->channels,
                  .classes = o->classes};
  if (!out->name) return err_memory(err, name, 64);
  if (!find_images(root, &find, &out->found, err)) return free(out->name), false;
  out->item = calloc((size_t)out->found.n + 1, sizeof *out->item);
  if (!out->item || !read_all(out, o, err)) return survey_free(out), false;
  count_cases(out), sum_labels(out);
  collect_complaints(out), check_names(out), check_duplicates(out), tell_unlabelled(out);
  out->stops = count_stops(out);
  take_splits(out, o);
  out->stops = count_stops(out);
  for (int i = 0; i < out->complaints.n; i++) below_root(out->complaints.list[i].text, out->found.root);
  return true;
}

void survey_free(Survey *s) {
  for (int i = 0; s->item && i < s->found.n; i++)
    free(s->item[i].label), complaints_free(&s->item[i].complaints);
  complaints_free(&s->complaints);
  free(s->item), free(s->split), free(s->name);
  found_free(&s->found);
  *s = (Survey){.name = NULL};
}

/* ---- numbers over all items ---- */

double survey_extent(const Surveyed *it, int axis) { return (double)it->dim[axis]; }
double survey_spacing(const Surveyed *it, int axis) { return it->spacing[axis]; }

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

bool survey_spread(const Survey *s, SurveyNumber of, int axis, double spread[3]) {
  double *v = malloc(((size_t)s->found.n + 1) * sizeof *v);
  int n = 0;
  for (int i = 0; v && i < s->found.n; i++)
    if (s->item[i].read) v[n++] = of(&s->item[i], axis);
  if (n) {
    qsort(v, (size_t)n, sizeof *v, ascending);
    spread[0] = v[0], spread[1] = (v[(n - 1) / 2] + v[n / 2]) / 2, spread[2] = v[n - 1];
  }
  free(v);
  return n > 0;
}

char *survey_orientations(const Survey *s, char *out, size_t room) {
  enum { MOST = 49 }; /* all there are, and none */
  char code[MOST][4];
  int count[MOST] = {0}, n = 0;
  for (int i = 0; i < s->found.n; i++) {
    int k = 0;
    if (!s->item[i].read) continue;
    while (k < n && strcmp(code[k], s->item[i].orientation)) k++;
    if (k == n && n < MOST) memcpy(code[n++], s->item[i].orientation, 4);
    if (k < n) count[k]++;
  }
  *out = 0;
  for (int k = 0; k < n; k++) {
    size_t at = strlen(out);
    if (at < room)
      snprintf(out + at, room - at, "%s%s %d", k ? ", " : "", *code[k] ? code[k] : "not said", count[k]);
  }
  return out;
}
