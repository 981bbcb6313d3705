/* series.c - DICOM series: which folders are one. */
#include "runtime/io/series.h"
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include "runtime/io/format.h"

enum { PREAMBLE = 128, FILES_TRIED = 4 };

bool named_dicom(const char *name) {
  const char *dot = strrchr(name, '.');
  return dot && (!strcasecmp(dot, ".dcm") || !strcasecmp(dot, ".dicom"));
}

static bool begins_as_dicom(const char *path) {
  char magic[4];
  struct stat st;
  if (stat(path, &st) || !S_ISREG(st.st_mode)) return false;
  FILE *f = fopen(path, "rb");
  bool is = f && !fseek(f, PREAMBLE, SEEK_SET) && fread(magic, 1, 4, f) == 4 && !memcmp(magic, "DICM", 4);
  if (f) fclose(f);
  return is;
}

bool is_dicom(const char *path) { return named_dicom(path) || begins_as_dicom(path); }

/* Slices often have no ending. Files of other formats are none; of those that may be slices a few tell. */
bool is_series(const char *dir) {
  DIR *d = opendir(dir);
  bool is = false;
  char path[4096];
  int tried = 0;
  for (struct dirent *e; d && !is && (e = readdir(d));) {
    bool named = named_dicom(e->d_name);
    if (*e->d_name == '.' || (!named && format_of(e->d_name)) || !strcasecmp(e->d_name, "DICOMDIR")) continue;
    bool fits = snprintf(path, sizeof path, "%s/%s", dir, e->d_name) < (int)sizeof path;
    struct stat st;
    if (!fits || stat(path, &st) || !S_ISREG(st.st_mode)) continue;
    is = named || (tried++ < FILES_TRIED && begins_as_dicom(path));
  }
  if (d) closedir(d);
  return is;
}
