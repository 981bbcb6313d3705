/* jpeg.c - JPEG through libjpeg: grey or RGB, upright as the EXIF block says. */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <jpeglib.h>
#include <jerror.h>
#include "runtime/base/file.h"
#include "runtime/io/picture/stored.h"

enum { SCANS_MOST = 1000 }; /* a small progressive file could else take hours */

/* libjpeg hands its manager of errors to the functions it calls: the reader begins with it. */
typedef struct {
  struct jpeg_error_mgr mgr;
  struct jpeg_progress_mgr progress;
  jmp_buf back;
  struct jpeg_decompress_struct jpeg;
  FILE *file;
  const char *path;
  const Wish *wish;
  char *err;
  Stored stored;
} Reader;

/* ---- what libjpeg calls ---- */

static Reader *reader_of(j_common_ptr c) { return (Reader *)(void *)c->err; }

static void failed(j_common_ptr c) {
  Reader *r = reader_of(c);
  char reason[JMSG_LENGTH_MAX];
  r->mgr.format_message(c, reason);
  err_set(r->err, "%s: not a readable JPEG file: %s", r->path, reason);
  longjmp(r->back, 1);
}

/* Some warnings mean that pixels are missing, which libjpeg fills with grey or noise. */
static bool loses_pixels(int code) {
  return code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER || code == JWRN_HUFF_BAD_CODE ||
         code == JWRN_MUST_RESYNC || code == JWRN_ARITH_BAD_CODE;
}

static void warned(j_common_ptr c, int level) {
  Reader *r = reader_of(c);
  char reason[JMSG_LENGTH_MAX];
  if (level >= 0) return; /* a trace */
  r->mgr.format_message(c, reason);
  if (!loses_pixels(c->err->msg_code)) {
    note(r->wish->notes, "%s: %s", r->path, reason);
    return;
  }
  err_set(r->err,
          "%s: the JPEG data are damaged or end early (%s): part of the picture is missing; copy it "
          "again from where it came, or leave it out",
          r->path, reason);
  longjmp(r->back, 1);
}

static void watch(j_common_ptr c) {
  Reader *r = reader_of(c);
  if (r->jpeg.input_scan_number <= SCANS_MOST) return;
  err_set(r->err, "%s: not a readable JPEG file: more than %d scans", r->path, SCANS_MOST);
  longjmp(r->back, 1);
}

/* libjpeg returns here from errors. The step's own variables are none of setjmp's function. */
static bool guarded(Reader *r, bool (*step)(Reader *r)) {
  if (setjmp(r->back)) return false;
  return step(r);
}

/* ---- the header ---- */

static void read_exif(Reader *r) {
  static const char name[6] = "Exif\0"; /* and another 0 */
  for (jpeg_saved_marker_ptr m = r->jpeg.marker_list; m; m = m->next) {
    if (m->data_length < sizeof name || memcmp(m->data, name, sizeof name)) continue;
    r->stored.orientation = exif_orientation(m->data + sizeof name, m->data_length - sizeof name);
    if (!r->stored.orientation) note(r->wish->notes, "%s: its damaged EXIF block is left out", r->path);
    return;
  }
}

static bool check_colours(const Reader *r) {
  J_COLOR_SPACE space = r->jpeg.jpeg_color_space;
  if (space == JCS_CMYK || space == JCS_YCCK)
    return err_set(r->err,
                   "%s: a CMYK picture, of printing inks; convert it to RGB first (with its colour "
                   "profile: `convert FILE -profile sRGB.icc OUT.png`)",
                   r->path);
  return space == JCS_GRAYSCALE || space == JCS_YCbCr || space == JCS_RGB ||
         err_set(r->err, "%s: a JPEG picture of %d components; grey and RGB are read", r->path,
                 r->jpeg.num_components);
}

static bool create(Reader *r) {
  jpeg_create_decompress(&r->jpeg);
  r->progress.progress_monitor = watch;
  r->jpeg.progress = &r->progress;
  return true;
}

static bool read_header(Reader *r) {
  struct jpeg_decompress_struct *j = &r->jpeg;
  jpeg_stdio_src(j, r->file);
  jpeg_save_markers(j, JPEG_APP0 + 1, 0xffff);
  jpeg_read_header(j, TRUE);
  if (!check_colours(r)) return false;
  j->out_color_space = j->jpeg_color_space == JCS_GRAYSCALE ? JCS_GRAYSCALE : JCS_RGB;
  /* a block of 8 x 8 takes a bit, an eighth of one at the very least: 1032 * 4 pixels a byte */
  if (!file_could_hold(r->path, (double)j->image_width * j->image_height / 4))
    return err_set(r->err, "%s: too short for its %u x %u pixels", r->path, j->image_height, j->image_width);
  jpeg_calc_output_dimensions(j);
  r->stored.bits = 8;
  r->stored.image = (Image){.spatial = 2, .channels = j->out_color_components, .lossy = true, .full = 255};
  r->stored.image.grid = grid_plain((int64_t[]){j->output_height, j->output_width, 1}, NULL);
  read_exif(r);
  return true;
}

/* ---- pixels ---- */

static bool read_rows(Reader *r) {
  struct jpeg_decompress_struct *j = &r->jpeg;
  Image *image = &r->stored.image;
  jpeg_start_decompress(j);
  int64_t n = grid_count(&image->grid), w = j->output_width, channels = image->channels;
  JSAMPARRAY row =
      j->mem->alloc_sarray((j_common_ptr)j, JPOOL_IMAGE, j->output_width * (JDIMENSION)channels, 1);
  if (!image_alloc(image, r->path, r->err)) return false;
  while (j->output_scanline < j->output_height) {
    float *to = image->value + w * j->output_scanline;
    jpeg_read_scanlines(j, row, 1);
    for (int64_t i = 0; i < w * channels; i++) to[i / w * n + i % w] = row[0][i % w * channels + i / w];
  }
  return true;
}

static bool decode(Reader *r, Image *out) {
  r->jpeg.err = jpeg_std_error(&r->mgr);
  r->mgr.error_exit = failed, r->mgr.emit_message = warned;
  return guarded(r, create) && guarded(r, read_header) && (r->wish->header || guarded(r, read_rows)) &&
         stored_deliver(&r->stored, r->path, r->wish, out, r->err);
}

static bool read_jpeg(const char *path, const Wish *wish, Image *out, char err[ERR_MAX]) {
  Reader r = {.file = fopen(path, "rbe"), .path = path, .wish = wish, .err = err};
  *out = (Image){.spatial = 2};
  if (!r.file) return err_sys(err, "%s", path);
  bool ok = decode(&r, out);
  if (!ok) image_free(&r.stored.image);
  jpeg_destroy_decompress(&r.jpeg);
  fclose(r.file);
  return ok;
}

const Format format_jpeg = {.name = "JPEG",
                            .ending = {".jpg", ".jpeg"},
                            .holds = HOLDS_PICTURE,
                            .magic = "\xff\xd8\xff",
                            .read = read_jpeg};
