/* tree.c - the files below a folder. Symbolic links are followed, unless they lead back to a folder above. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include "runtime/find/search.h"
#include "runtime/io/series.h"

enum { PATH_ROOM = 4096, DEPTH_MAX = 40, ENDINGS_TOLD = 8 };

/* What operating systems and archives leave behind. */
static bool is_litter(const char *name) {
  static const char *const litter[] = {"Thumbs.db",    "ehthumbs.db", "desktop.ini",
                                       "__MACOSX",     "@eaDir",      "#recycle",
                                       "$RECYCLE.BIN", "lost+found",  "System Volume Information"};
  if (*name == '.') return true;
  for (size_t i = 0; i < sizeof litter / sizeof *litter; i++)
    if (!strcasecmp(name, litter[i])) return true;
  return false;
}

static int visible(const struct dirent *e) { return !is_litter(e->d_name); }

static int by_name(const struct dirent **a, const struct dirent **b) {
  return strcmp((*a)->d_name, (*b)->d_name);
}

typedef struct Above {
  const struct Above *above;
  dev_t dev;
  ino_t ino;
  int depth;
} Above;

static bool is_above(const Above *up, const struct stat *st) {
  for (; up; up = up->above)
    if (up->dev == st->st_dev && up->ino == st->st_ino) return true;
  return false;
}

/* What the file that came last says of itself. */
static void set_content(Search *s) {
  Tree *t = &s->tree;
  TreeFile *f = &t->file[t->n - 1];
  char path[PATH_ROOM], ignored[ERR_MAX];
  snprintf(path, sizeof path, "%s/%s", s->found->root, f->path);
  f->labelled = f->format && f->format->sets && f->format->has(path, "label");
  f->volume = f->series || (f->format && f->format->holds == HOLDS_VOLUME);
  if (f->series || !f->format || f->format->holds != HOLDS_EITHER) return;
  for (int i = t->n - 2; i >= 0 && !strcmp(t->file[i].dir, f->dir); i--)
    if (t->file[i].format == f->format) {
      f->volume = t->file[i].volume;
      return;
    }
  int spatial = image_spatial(path, ignored);
  f->volume = spatial == 3 || (!spatial && s->options->spatial == 3); /* unreadable: reading it tells why */
}

static void add_file(Search *s, const char *dir, const char *name, bool series) {
  Tree *t = &s->tree;
  if (!keep_grow(s->keep, &t->file, t->n, &t->room, sizeof *t->file)) return;
  TreeFile f = {.dir = dir, .name = keep_text(s->keep, "%s", name), .series = series};
  f.path = *dir ? keep_text(s->keep, "%s/%s", dir, name) : f.name;
  bool other = !series && !named_dicom(name) && format_by_ending(name); /* a slice is no image of its own */
  f.format = other ? format_of_image(name) : NULL;
  f.stem = f.format ? keep_text(s->keep, "%.*s", (int)format_stem(name), name) : f.name;
  t->file[t->n++] = f;
  set_content(s);
}

/* dir: below the root. */
static bool walk(Search *s, const char *dir, const Above *up, char err[ERR_MAX]);

static bool is_skipped(const InputOptions *o, const struct stat *st) {
  struct stat skip;
  for (int i = 0; i < 2; i++)
    if (o->skip[i] && !stat(o->skip[i], &skip) && skip.st_dev == st->st_dev && skip.st_ino == st->st_ino)
      return true;
  return false;
}

/* Does the name differ from the other one only behind its last separator, by digits where that has digits? */
static bool is_beside(const char *other, const char *name) {
  size_t stem = format_stem(other), n = stem;
  while (n > 0 && !strchr("_-", other[n - 1])) n--;
  if (!n || strncmp(name, other, n) != 0 || strcasecmp(name + format_stem(name), other + stem) != 0)
    return !strcmp(name, other);
  size_t rest = format_stem(name) - n, digits = strspn(name + n, "0123456789");
  bool numbered = strspn(other + n, "0123456789") == stem - n;
  return !memchr(name + n, '_', rest) && (!numbered || (digits == rest && rest == stem - n));
}

/* First what lies in the folder itself, then what lies below it: files of one folder are neighbours. */
typedef enum { FILES, FOLDERS } Pass;

static void visit(Search *s, const char *dir, const char *name, Pass pass, const Above *up) {
  char path[PATH_ROOM], ignored[ERR_MAX];
  struct stat st;
  if (s->inputs->beside && (pass == FOLDERS || !is_beside(s->inputs->beside, name))) return;
  const char *below = *dir ? keep_text(s->keep, "%s/%s", dir, name) : keep_text(s->keep, "%s", name);
  bool fits = snprintf(path, sizeof path, "%s/%s", s->found->root, below) < (int)sizeof path;
  if (fits && !stat(path, &st) && is_skipped(s->inputs, &st)) {
    if (pass == FOLDERS)
      oddity_add(s->found, ODD_passed_over, false, "%s: the folder of results; it is not searched", below);
    return;
  }
  if (!fits || stat(path, &st)) {
    if (pass == FILES)
      oddity_add(s->found, ODD_link, false, "%s: %s; passed over", below,
                 fits ? "a link to nothing, or it cannot be read" : "the path is too long");
  } else if (!S_ISDIR(st.st_mode)) {
    if (pass == FILES && S_ISREG(st.st_mode)) add_file(s, dir, name, false);
  } else if (is_above(up, &st) || up->depth == DEPTH_MAX) {
    if (pass == FOLDERS)
      oddity_add(s->found, ODD_link, false, "%s: leads back to a folder above it; passed over", below);
  } else if (pass == FILES) {
    if (is_series(path)) add_file(s, dir, name, true);
  } else if (!walk(s, below, &(Above){up, st.st_dev, st.st_ino, up->depth + 1}, ignored))
    oddity_add(s->found, ODD_link, false, "%s: the folder cannot be read; passed over", below);
}

static bool walk(Search *s, const char *dir, const Above *up, char err[ERR_MAX]) {
  char path[PATH_ROOM];
  struct dirent **entry;
  snprintf(path, sizeof path, "%s%s%s", s->found->root, *dir ? "/" : "", dir);
  int n = scandir(path, &entry, visible, by_name);
  if (n < 0) return err_sys(err, "%s", path);
  for (int i = 0; i < n; i++) visit(s, dir, entry[i]->d_name, FILES, up);
  for (int i = 0; i < n; i++) {
    if (entry[i]->d_type != DT_REG) visit(s, dir, entry[i]->d_name, FOLDERS, up);
    free(entry[i]);
  }
  free(entry);
  return true;
}

/* The name of a folder, which the path to it may leave unsaid: "." */
static const char *folder_name(Search *s, const char *path) {
  char *real = realpath(path, NULL), *slash = real ? strrchr(real, '/') : NULL;
  const char *name = keep_text(s->keep, "%s", slash && slash[1] ? slash + 1 : path);
  free(real);
  return name;
}

bool tree_list(Search *s, char err[ERR_MAX]) {
  const char *root = s->found->root;
  struct stat st;
  if (stat(root, &st)) return err_sys(err, "%s", root);
  if (!S_ISDIR(st.st_mode)) return err_set(err, "%s: not a directory", root);
  if (is_series(root)) { /* the folder itself is a volume */
    add_file(s, "", ".", true);
    if (s->tree.n) s->tree.file[0].stem = folder_name(s, root);
  }
  return walk(s, "", &(Above){NULL, st.st_dev, st.st_ino, 0}, err);
}

const TreeFile *tree_at(const Tree *t, const char *path) {
  for (int i = 0; i < t->n; i++)
    if (!strcmp(t->file[i].path, path)) return &t->file[i];
  return NULL;
}

/* ---- what is there, for messages ---- */

typedef struct {
  char text[24];
  int n;
} Ending;

static int more_first(const void *a, const void *b) {
  const Ending *x = a, *y = b;
  return x->n != y->n ? (x->n < y->n) - (x->n > y->n) : strcmp(x->text, y->text);
}

static void ending_of(const TreeFile *f, char out[24]) {
  const char *dot = f->format ? f->name + strlen(f->stem) : strrchr(f->name, '.');
  snprintf(out, 24, "%.20s", f->series ? "DICOM folders" : dot && *dot && strlen(dot) < 12 ? dot : "others");
  for (char *p = out; *p && *out == '.'; p++)
    if (*p >= 'A' && *p <= 'Z') *p += 'a' - 'A';
}

char *tree_endings(const Tree *t, char *out, size_t room) {
  enum { MOST = 64 };
  Ending ending[MOST];
  int n = 0;
  for (int i = 0; i < t->n; i++) {
    char text[24];
    int k = 0;
    ending_of(&t->file[i], text);
    while (k < n && strcmp(ending[k].text, text)) k++;
    if (k == MOST) continue;
    if (k == n) ending[n++] = (Ending){.n = 0}, memcpy(ending[k].text, text, sizeof text);
    ending[k].n++;
  }
  qsort(ending, (size_t)n, sizeof *ending, more_first);
  size_t used = (size_t)snprintf(out, room, "%s", n ? "" : "no files");
  for (int k = 0; k < n && k < ENDINGS_TOLD && used < room; k++)
    used += (size_t)snprintf(out + used, room - used, "%s%d %s", k ? ", " : "", ending[k].n, ending[k].text);
  if (n > ENDINGS_TOLD && used < room) snprintf(out + used, room - used, ", ..");
  return out;
}
