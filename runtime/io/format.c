/* format.c - the table of formats, and what is asked of it. */
#include "runtime/io/format.h"
#include <string.h>
#include <strings.h>

const Format *const format_table[] = {&format_png, &format_nifti, &format_jpeg, &format_hdf5, NULL};

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

bool is_volume(const char *path) {
  const Format *f = format_of(path);
  return f && f->holds == HOLDS_VOLUME;
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
    if (format_table[i]->holds == holds) add_endings(format_table[i], out);
  return out;
}

char *format_endings(char out[ALL_ENDINGS]) {
  *out = 0;
  for (int i = 0; format_table[i]; i++) add_endings(format_table[i], out);
  return out;
}

bool mask_write(const char *path, const char *like, const uint8_t *mask, int spatial, const int64_t *dim,
                char err[ERR_MAX]) {
  Holds wanted = spatial == 3 ? HOLDS_VOLUME : HOLDS_PICTURE;
  const Format *f = format_of(path), *good = format_of_masks(wanted);
  if (f && f->write && f->holds == wanted) return f->write(path, like, mask, dim, err);
  if (f && f->write)
    return err_set(err, "%s: %s mask is written as %s; give the name a %s ending", path,
                   spatial == 3 ? "a volume's" : "a 2-D", good->name, good->ending[0]);
  return err_set(err, "%s: masks are not written in this format; give the name a %s ending", path,
                 good->ending[0]);
}
