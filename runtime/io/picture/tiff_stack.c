/* tiff_stack.c - what programs of microscopy say of their stacks of pages in the first one's description:
 * ImageJ in lines of KEY=VALUE, OME in XML. Of both only the numbers of pages and their spacing are read. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "runtime/io/picture/tiff_page.h"

/* Millimetres of a unit of length, by the names that the programs write; 0: none of them. */
static double unit_mm(const char *name, size_t n) {
  static const struct {
    const char *name;
    double mm;
  } units[] = {{"mm", 1},        {"millimeter", 1},  {"cm", 10},           {"m", 1000},
               {"um", 1e-3},     {"\\u00B5m", 1e-3}, {"\xc2\xb5m", 1e-3},  {"\xb5m", 1e-3},
               {"micron", 1e-3}, {"microns", 1e-3},  {"micrometer", 1e-3}, {"nm", 1e-6},
               {"inch", 25.4},   {"in", 25.4}};
  for (size_t i = 0; i < sizeof units / sizeof *units; i++)
    if (strlen(units[i].name) == n && !memcmp(units[i].name, name, n)) return units[i].mm;
  return 0;
}

static double spacing(double mm) { return isfinite(mm) && mm > 0 ? mm : 1; }

/* ---- ImageJ ---- */

/* The text behind KEY= at the beginning of a line; NULL: there is none. */
static const char *line_of(const char *text, const char *key) {
  for (size_t n = strlen(key); text; text = strchr(text, '\n')) {
    text += *text == '\n';
    if (!strncmp(text, key, n) && text[n] == '=') return text + n + 1;
  }
  return NULL;
}

static int count_of(const char *text, const char *key) {
  const char *v = line_of(text, key);
  long n = v ? strtol(v, NULL, 10) : 1;
  return n >= 1 && n <= 1 << 30 ? (int)n : 1;
}

static void imagej_spacing(const TiffFile *f, const char *text, TiffStack *out) {
  const char *unit = line_of(text, "unit"), *apart = line_of(text, "spacing");
  float x = 0, y = 0; /* pixels in a unit */
  double mm = unit ? unit_mm(unit, strcspn(unit, "\r\n")) : 0;
  if (mm <= 0) {
    if (apart)
      note(f->wish->notes, "%s: its spacing is in no unit of length; 1 mm is taken for each axis", f->path);
    return;
  }
  TIFFGetField(f->tiff, TIFFTAG_XRESOLUTION, &x), TIFFGetField(f->tiff, TIFFTAG_YRESOLUTION, &y);
  out->mm[0] = spacing(mm / (double)x), out->mm[1] = spacing(mm / (double)y);
  out->mm[2] = spacing(apart ? mm * fabs(strtod(apart, NULL)) : 1);
}

static bool imagej(const TiffFile *f, const char *text, int pages, TiffStack *out) {
  int channels = count_of(text, "channels"), slices = count_of(text, "slices"),
      frames = count_of(text, "frames");
  int images = count_of(text, "images");
  imagej_spacing(f, text, out);
  if (pages == 1 && images > 1)
    return err_set(f->err,
                   "%s: an ImageJ stack of %d pictures with a directory for the first alone, as ImageJ saves "
                   "those above 4 GB; save it anew as NIfTI, or in parts",
                   f->path, images);
  if (slices > 1 && frames > 1)
    return err_set(f->err,
                   "%s: an ImageJ stack of %d slices at %d times; save each time as a file of its own",
                   f->path, slices, frames);
  if (pages > 1 && channels > 1 && pages % channels == 0)
    out->channels = channels, out->slices = pages / channels;
  return true;
}

char *tiff_stack_text(const Grid *g, char text[TIFF_TEXT]) {
  int n = (int)g->dim[2];
  snprintf(text, TIFF_TEXT, "ImageJ=1.11a\nimages=%d\nslices=%d\nunit=mm\nspacing=%.9g\nloop=false\n", n, n,
           grid_spacing(g, 2));
  return text;
}

/* ---- OME ---- */

/* The value of an attribute of the first <Pixels>; NULL: there is none. */
static const char *attribute(const char *pixels, const char *name) {
  const char *end = strchr(pixels, '>'), *at = pixels;
  size_t n = strlen(name);
  while ((at = strstr(at, name)) && (!end || at < end)) {
    if (at[-1] == ' ' && at[n] == '=' && at[n + 1] == '"') return at + n + 2;
    at += n;
  }
  return NULL;
}

static double ome_spacing(const char *pixels, const char *size, const char *unit) {
  const char *v = attribute(pixels, size), *u = attribute(pixels, unit);
  double mm = u ? unit_mm(u, strcspn(u, "\"")) : 1e-3; /* micrometres where it does not say */
  return v && mm > 0 ? spacing(mm * strtod(v, NULL)) : 1;
}

static bool ome(const TiffFile *f, const char *text, int pages, TiffStack *out) {
  const char *pixels = strstr(text, "<Pixels ");
  if (!pixels) return true;
  out->mm[0] = ome_spacing(pixels, "PhysicalSizeX", "PhysicalSizeXUnit");
  out->mm[1] = ome_spacing(pixels, "PhysicalSizeY", "PhysicalSizeYUnit");
  out->mm[2] = ome_spacing(pixels, "PhysicalSizeZ", "PhysicalSizeZUnit");
  const char *z = attribute(pixels, "SizeZ");
  if (pages > 1 && z && strtol(z, NULL, 10) != pages)
    return err_set(f->err,
                   "%s: an OME-TIFF of %ld slices in %d pages: of several channels or times; save each as a "
                   "file of its own",
                   f->path, strtol(z, NULL, 10), pages);
  return true;
}

bool tiff_stack(TiffFile *f, int pages, TiffStack *out) {
  char *text = NULL;
  *out = (TiffStack){1, pages, {1, 1, 1}};
  if (!TIFFSetDirectory(f->tiff, 0)) return tiff_damaged(f);
  if (!TIFFGetField(f->tiff, TIFFTAG_IMAGEDESCRIPTION, &text)) return true;
  if (!strncmp(text, "ImageJ=", 7)) return imagej(f, text, pages, out);
  return strstr(text, "<OME ") ? ome(f, text, pages, out) : true;
}
