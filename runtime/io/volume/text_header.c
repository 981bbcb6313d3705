/* text_header.c - lines, words and numbers of headers; lists of files. */
#include "runtime/io/volume/text_header.h"
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { LONGEST = 1 << 16, MOST_FILES = 1 << 16 };

bool text_open(TextHeader *h, const char *path, char err[ERR_MAX]) {
  *h = (TextHeader){.path = path};
  if (!file_map(path, &h->bytes, err)) return false;
  if ((h->line = malloc(LONGEST))) return true;
  file_unmap(&h->bytes);
  return err_memory(err, path, LONGEST);
}

void text_close(TextHeader *h) {
  file_unmap(&h->bytes);
  free(h->line);
  h->line = NULL;
}

static bool is_blank(char c) { return isspace((unsigned char)c); }

static char *trim(char *s) {
  while (is_blank(*s)) s++;
  for (size_t n = strlen(s); n && is_blank(s[n - 1]); n--) s[n - 1] = 0;
  return s;
}

char *text_line(TextHeader *h) {
  if (h->at >= h->bytes.size) return NULL;
  const uint8_t *from = h->bytes.data + h->at;
  size_t most = h->bytes.size - h->at, n;
  if (most > LONGEST) most = LONGEST;
  const uint8_t *end = memchr(from, '\n', most);
  if (!end && most == LONGEST) return NULL;
  n = end ? (size_t)(end - from) : most;
  h->at += n + (end != NULL);
  memcpy(h->line, from, n), h->line[n] = 0;
  return trim(h->line);
}

char *text_cut(char *line, const char *separator) {
  char *at = strstr(line, separator);
  if (!at) return NULL;
  *at = 0;
  trim(line);
  return trim(at + strlen(separator));
}

static bool is_gap(char c) { return is_blank(c) || c == ',' || c == '(' || c == ')'; }

bool text_number(char **at, double *out) {
  char *end;
  while (is_gap(**at)) (*at)++;
  double number = strtod(*at, &end);
  if (end == *at) return false;
  *at = end, *out = number;
  return true;
}

char *text_word(char **at) {
  while (is_gap(**at)) (*at)++;
  char *word = *at;
  while (**at && !is_gap(**at)) (*at)++;
  if (**at) *(*at)++ = 0;
  return word;
}

/* ---- lists of files ---- */

void file_list_free(FileList *f) {
  for (int i = 0; i < f->n; i++) free(f->name[i]);
  free(f->name);
  *f = (FileList){.n = 0};
}

bool file_list_add(FileList *f, const char *header, const char *name, char err[ERR_MAX]) {
  const char *slash = *name == '/' ? NULL : strrchr(header, '/');
  int folder = slash ? (int)(slash - header) + 1 : 0;
  if (f->n == MOST_FILES) return err_set(err, "%s: more than %d files of voxels", header, MOST_FILES);
  if (!(f->n & (f->n - 1))) { /* a power of two: the room is used up */
    char **more = realloc(f->name, (size_t)(f->n ? 2 * f->n : 1) * sizeof *more);
    if (!more) return err_memory(err, header, f->n);
    f->name = more;
  }
  if (asprintf(&f->name[f->n], "%.*s%s", folder, header, name) < 0) return err_memory(err, header, 1);
  f->n++;
  return true;
}

/* "%03d" in a name becomes the number; false where there is no such place. */
static bool numbered(const char *pattern, int number, char out[], size_t room) {
  const char *at = strchr(pattern, '%');
  char *end;
  if (!at) return false;
  bool zeros = at[1] == '0';
  long width = strtol(at + 1, &end, 10);
  if (end == at + 1) width = 0;
  if (width < 0 || width > 20 || (*end != 'd' && *end != 'i' && *end != 'u') || strchr(end, '%'))
    return false;
  int n = zeros ? snprintf(out, room, "%.*s%0*d%s", (int)(at - pattern), pattern, (int)width, number, end + 1)
                : snprintf(out, room, "%.*s%*d%s", (int)(at - pattern), pattern, (int)width, number, end + 1);
  return n > 0 && (size_t)n < room;
}

static bool parse_pattern(FileList *f, const TextHeader *h, char *value, char err[ERR_MAX]) {
  double range[3] = {NAN, NAN, 1};
  char *pattern = text_word(&value), name[1024];
  for (int i = 0; i < 3 && text_number(&value, &range[i]); i++) {}
  for (int i = 0; i < 3; i++)
    if (!(fabs(range[i]) <= 1e6) || range[i] != floor(range[i]) || range[2] < 1)
      return err_set(err,
                     "%s: expected a pattern, first, last and step in whole numbers for its files, as in "
                     "a%%03d.raw 1 20 1",
                     h->path);
  for (int k = (int)range[0]; k <= (int)range[1]; k += (int)range[2]) {
    if (!numbered(pattern, k, name, sizeof name))
      return err_set(err, "%s: %.100s is no pattern of file names that is read, as a%%03d.raw", h->path,
                     pattern);
    if (!file_list_add(f, h->path, name, err)) return false;
  }
  return f->n > 0 || err_set(err, "%s: its pattern of file names gives none", h->path);
}

bool file_list_parse(FileList *f, TextHeader *h, char *value, char err[ERR_MAX]) {
  char *line;
  file_list_free(f);
  if (!*value) return err_set(err, "%s: the header names no file of voxels", h->path);
  if (strchr(value, '%')) return parse_pattern(f, h, value, err);
  if (strncasecmp(value, "LIST", 4) || (value[4] && !is_blank(value[4])))
    return file_list_add(f, h->path, value, err);
  while ((line = text_line(h)))
    if (*line && !file_list_add(f, h->path, line, err)) return false;
  return f->n > 0 || err_set(err, "%s: its list of files is empty", h->path);
}
