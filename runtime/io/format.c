/* format.c - the table of formats, and what is asked of it. */
#include "runtime/io/format.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

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

const Format *format_of(const char *path) {
  for (int i = 0; format_table[i]; i++)
    if (ending_in(format_table[i], path)) return format_table[i];
  return NULL;
}

size_t format_stem(const char *name) {
  const Format *f = format_of(name);
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

/* The format whose magic the file begins with; NULL: none. */
static const Format *by_content(const char *path, char err[ERR_MAX], bool *opened) {
  char magic[16] = {0};
  FILE *f = fopen(path, "rb");
  *opened = f != NULL;
  if (!f) return err_sys(err, "%s", path), NULL;
  size_t got = fread(magic, 1, sizeof magic, f);
  fclose(f);
  for (int i = 0; format_table[i]; i++) {
    const char *m = format_table[i]->magic;
    if (m && got >= strlen(m) && !memcmp(magic, m, strlen(m))) return format_table[i];
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

bool image_read(const char *path, const Wish *wish, Image *out, char err[ERR_MAX]) {
  const Format *named = format_of(path), *found = NULL;
  bool opened = true;
  char names[ALL_ENDINGS];
  *out = (Image){.spatial = 0};
  if (!named || named->magic) found = by_content(path, err, &opened);
  if (!opened) return false;
  if (!named || (named->magic && !found)) {
    format_names(names);
    if (!found)
      return err_set(err, "%s: none of the formats that are read (%s); convert it to one of them", path,
                     names);
  }
  return (found ? found : named)->read(path, wish, out, err);
}

bool image_alloc(Image *image, const char *path, char err[ERR_MAX]) {
  int64_t bytes = grid_count(&image->grid) * image->channels * (int64_t)sizeof *image->value;
  return image_room(image) || err_memory(err, path, bytes);
}

/* ---- writing ---- */

bool image_write(const char *path, const char *like, const Written *what, char err[ERR_MAX]) {
  Holds wanted = what->spatial == 3 ? HOLDS_VOLUME : HOLDS_PICTURE;
  const Format *f = format_of(path), *good = format_of_masks(wanted);
  if (f && f->write && f->holds == wanted) return f->write(path, like, what, err);
  if (f && f->write)
    return err_set(err, "%s: %s mask is written as %s; give the name a %s ending", path,
                   what->spatial == 3 ? "a volume's" : "a 2-D", good->name, good->ending[0]);
  return err_set(err, "%s: masks are not written in this format; give the name a %s ending", path,
                 good->ending[0]);
}
