/* format.c - the table of formats, and what is asked of it. */
#include "runtime/io/format.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

const Format *const format_table[] = {
#define FORMAT(name) &format_##name,
#include "runtime/io/formats.def"
#undef FORMAT
    NULL};

/* The ending of f that the name has; NULL: none. */
static const char *ending_in(const Format *f, const char *name) {
  size_t n = strlen(name);
  for (int i = 0; f->ending[i]; i++) {
    size_t e = strlen(f->ending[i]);
    if (n > e && !strcasecmp(name + n - e, f->ending[i])) return f->ending[i];
  }
  return NULL;
}

const Format *format_by_ending(const char *name) {
  for (int i = 0; format_table[i]; i++)
    if (ending_in(format_table[i], name)) return format_table[i];
  return NULL;
}

const Format *format_with_ending(const char *ending) {
  for (int i = 0; format_table[i]; i++)
    for (int k = 0; format_table[i]->ending[k]; k++)
      if (!strcasecmp(format_table[i]->ending[k], ending)) return format_table[i];
  return NULL;
}

const Format *format_of(const char *path) {
  const Format *f = format_by_ending(path);
  for (int i = 0; !f && format_table[i]; i++)
    if (format_table[i]->folder && format_table[i]->folder(path)) f = format_table[i];
  return f;
}

const Format *format_of_image(const char *path) {
  const Format *f = format_of(path);
  return f && f->beside && ending_in(f, path) && !strcmp(ending_in(f, path), f->beside) ? NULL : f;
}

size_t format_stem(const char *name) {
  const Format *f = format_by_ending(name);
  return strlen(name) - (f ? strlen(ending_in(f, name)) : 0);
}

const Format *format_of_masks(Holds holds) {
  for (int i = 0; format_table[i]; i++)
    if (format_table[i]->holds == holds && format_table[i]->write) return format_table[i];
  return NULL;
}

int image_spatial(const char *path, char err[ERR_MAX]) {
  const Format *f = format_of(path);
  if (f && f->holds != HOLDS_EITHER) return f->holds == HOLDS_VOLUME ? 3 : 2;
  Image header;
  return image_read(path, &(Wish){.header = true}, &header, err) ? header.spatial : 0;
}

bool is_volume(const char *path) {
  char err[ERR_MAX];
  return image_spatial(path, err) == 3;
}

static void add_endings(const Format *f, char out[ALL_ENDINGS]) {
  for (int i = 0; f->ending[i]; i++) {
    size_t n = strlen(out);
    snprintf(out + n, ALL_ENDINGS - n, "%s%s", n ? " " : "", f->ending[i]);
  }
}

char *format_endings_of(Holds holds, char out[ALL_ENDINGS]) {
  *out = 0;
  for (int i = 0; format_table[i]; i++)
    if (format_table[i]->holds == holds || format_table[i]->holds == HOLDS_EITHER)
      add_endings(format_table[i], out);
  return out;
}

char *format_endings(char out[ALL_ENDINGS]) {
  *out = 0;
  for (int i = 0; format_table[i]; i++) add_endings(format_table[i], out);
  return out;
}

/* ---- reading ---- */

/* How a file begins. */
typedef struct {
  uint8_t byte[CONTENT_HEAD];
  size_t size;
  bool directory;
} Head;

static bool read_head(const char *path, Head *head, char err[ERR_MAX]) {
  struct stat st;
  FILE *f = fopen(path, "rbe");
  if (!f) return err_sys(err, "%s", path);
  *head = (Head){.directory = !fstat(fileno(f), &st) && S_ISDIR(st.st_mode)};
  if (!head->directory) head->size = fread(head->byte, 1, sizeof head->byte, f);
  bool ok = !ferror(f) || err_sys(err, "%s", path);
  fclose(f);
  return ok;
}

static bool told_by_content(const Format *f) { return f->magic || f->is; }

/* The format that the file's beginning tells; NULL: none. */
static const Format *by_content(const Head *head) {
  for (int i = 0; format_table[i]; i++) {
    const Format *f = format_table[i];
    if (f->magic && head->size >= strlen(f->magic) && !memcmp(head->byte, f->magic, strlen(f->magic)))
      return f;
    if (f->is && f->is(head->byte, head->size)) return f;
  }
  return NULL;
}

static void format_names(char out[ALL_ENDINGS]) {
  *out = 0;
  for (int i = 0; format_table[i]; i++) {
    size_t n = strlen(out);
    snprintf(out + n, ALL_ENDINGS - n, "%s%s", n ? ", " : "", format_table[i]->name);
  }
}

/* The content is none of the formats that content tells. */
static bool refuse_content(const char *path, const Format *named, const Head *head, char err[ERR_MAX]) {
  const char *says = head->directory ? "a directory" : content_says(head->byte, head->size);
  char names[ALL_ENDINGS];
  format_names(names);
  if (named && says) return err_set(err, "%s: named as %s, but it holds %s", path, named->name, says);
  if (named)
    return err_set(
        err, "%s: named as %s, but it does not begin as such a file does: damaged, or of another format",
        path, named->name);
  return err_set(err, "%s: %s%snone of the formats that are read (%s); convert it to one of them", path,
                 says ? says : "", says ? "; " : "", names);
}

/* The content is of another format than the name says: good for pictures alone. */
static bool read_as_content(const char *path, const Format *named, const Format *found, const Wish *wish,
                            Image *out, char err[ERR_MAX]) {
  bool pictures = named->holds != HOLDS_VOLUME && found->holds != HOLDS_VOLUME;
  if (pictures) {
    note(wish->notes, "%s: named as %s, but read as %s, which it holds", path, named->name, found->name);
    if (!found->read(path, wish, out, err)) return false;
    if (out->spatial == 2 || named->holds == HOLDS_EITHER) return true;
    image_free(out);
  }
  return err_set(err, "%s: named as %s, but it holds %s%s; give its name the ending %s", path, named->name,
                 found->name, pictures ? " of several pages, a volume" : "", found->ending[0]);
}

bool image_read(const char *path, const Wish *wish, Image *out, char err[ERR_MAX]) {
  const Format *named = format_of(path);
  Head head;
  *out = (Image){.spatial = 0};
  if (named && !format_of_image(path)) return named->read(path, wish, out, err); /* voxels may be any bytes */
  if (!read_head(path, &head, err)) return false;
  if (head.directory && named && named->folder) return named->read(path, wish, out, err);
  const Format *found = by_content(&head);
  if (found && named && found != named) return read_as_content(path, named, found, wish, out, err);
  if (found) return found->read(path, wish, out, err);
  if (!named || told_by_content(named)) return refuse_content(path, named, &head, err);
  const char *says = head.directory ? NULL : content_says(head.byte, head.size);
  return says ? refuse_content(path, named, &head, err) : named->read(path, wish, out, err);
}

bool image_alloc(Image *image, const char *path, char err[ERR_MAX]) {
  int64_t bytes = grid_count(&image->grid) * image->channels * (int64_t)sizeof *image->value;
  return image_room(image) || err_memory(err, path, bytes);
}

/* ---- writing ---- */

bool image_writable(const char *path, int spatial, char err[ERR_MAX]) {
  Holds wanted = spatial == 3 ? HOLDS_VOLUME : HOLDS_PICTURE;
  const Format *f = format_by_ending(path), *good = format_of_masks(wanted);
  if (f && f->write && (f->holds == wanted || f->holds == HOLDS_EITHER)) return true;
  if (f && f->write)
    return err_set(err, "%s: %s mask is written as %s; give the name a %s ending", path,
                   spatial == 3 ? "a volume's" : "a 2-D", good->name, good->ending[0]);
  return err_set(err, "%s: masks are not written in this format; give the name a %s ending", path,
                 good->ending[0]);
}

bool image_write(const char *path, const char *like, const Written *what, char err[ERR_MAX]) {
  return image_writable(path, what->spatial, err) && format_by_ending(path)->write(path, like, what, err);
}
