/* raster.c - pictures, whatever their format: a file's first bytes tell it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "runtime/io/format.h"

void raster_free(Raster *r) {
  free(r->byte);
  r->byte = NULL;
}

void volume_free(Volume *v) {
  free(v->value);
  v->value = NULL;
}

static const Format *by_content(FILE *f) {
  char magic[16] = {0};
  size_t got = fread(magic, 1, sizeof magic, f);
  rewind(f);
  for (int i = 0; format_table[i]; i++) {
    const char *m = format_table[i]->magic;
    if (m && got >= strlen(m) && !memcmp(magic, m, strlen(m))) return format_table[i];
  }
  return NULL;
}

static void picture_names(char out[ALL_ENDINGS]) {
  *out = 0;
  for (int i = 0; format_table[i]; i++) {
    size_t n = strlen(out);
    if (format_table[i]->magic)
      snprintf(out + n, ALL_ENDINGS - n, "%s%s", n ? ", " : "", format_table[i]->name);
  }
}

bool raster_read(const char *path, Raster *out, char err[ERR_MAX]) {
  char names[ALL_ENDINGS];
  FILE *f = fopen(path, "rb");
  *out = (Raster){0};
  if (!f) return err_sys(err, "%s", path);
  const Format *format = by_content(f);
  picture_names(names);
  bool ok = format ? format->picture(path, f, out, err)
                   : err_set(err, "%s: none of the formats that are read (%s); convert it to one of them",
                             path, names);
  fclose(f);
  return ok;
}
