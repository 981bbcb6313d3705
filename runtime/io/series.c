/* series.c - which files are DICOM, and which folders are a series. */
#include "runtime/io/series.h"
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include "runtime/io/format.h"

enum { PREAMBLE = 128, FILES_TRIED = 64 };

bool named_dicom(const char *name) { return format_by_ending(name) == &format_dicom; }

bool dicom_begins(const uint8_t *head, size_t size) {
  return size >= PREAMBLE + 4 && !memcmp(head + PREAMBLE, "DICM", 4);
}

static bool begins_as_dicom(const char *path) {
  uint8_t head[PREAMBLE + 4];
  FILE *f = fopen(path, "rbe");
  bool is = f && dicom_begins(head, fread(head, 1, sizeof head, f));
  if (f) fclose(f);
  return is;
}

static bool is_file(const char *path) {
  struct stat st;
  return !stat(path, &st) && S_ISREG(st.st_mode);
}

bool is_dicom(const char *path) { return is_file(path) && (named_dicom(path) || begins_as_dicom(path)); }

/* Slices often have no ending. Files of other formats are none; of those that may be slices some tell. */
bool is_series(const char *dir) {
  DIR *d = opendir(dir);
  bool is = false;
  char path[4096];
  int tried = 0;
  for (struct dirent *e; d && !is && (e = readdir(d));) {
    const Format *f = format_by_ending(e->d_name);
    if (*e->d_name == '.' || (f && f != &format_dicom) || !strcasecmp(e->d_name, "DICOMDIR")) continue;
    bool fits = snprintf(path, sizeof path, "%s/%s", dir, e->d_name) < (int)sizeof path;
    if (!fits || !is_file(path)) continue;
    is = f == &format_dicom || (tried++ < FILES_TRIED && begins_as_dicom(path));
  }
  if (d) closedir(d);
  return is;
}
