/* stored.c - from what a picture's file stores to intensities, a mask's numbers, or colours. */
#include "runtime/io/picture/stored.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- palettes ---- */

static bool palette_is_grey(const Stored *s) {
  for (int i = 0; i < s->colours; i++)
    if (s->colour[i][0] != s->colour[i][1] || s->colour[i][0] != s->colour[i][2]) return false;
  return true;
}

/* A palette from white to black shows a mask's background as white: its numbers are the stored ones
 * nevertheless, and that is said. */
static void note_palette(const Stored *s, const char *path, Notes *notes) {
  if (s->colours > 1 && palette_is_grey(s) && s->colour[0][0] > s->colour[s->colours - 1][0])
    note(notes, "%s: the palette shows 0 as the brightest colour; numbers are read as stored", path);
}

/* Every index becomes its colour, in one channel where the palette is grey and no colour is asked for. */
static bool look_up(Stored *s, const char *path, int channels, char err[ERR_MAX]) {
  int64_t n = grid_count(&s->image.grid);
  Image seen = s->image;
  seen.channels = channels, seen.full = 255;
  if (s->image.value) {
    if (!image_alloc(&seen, path, err)) return false;
    for (int64_t i = 0; i < n; i++) {
      int index = (int)s->image.value[i];
      if (index >= s->colours) {
        image_free(&seen);
        return err_set(err, "%s: damaged: a pixel has colour %d, but the palette has %d", path, index,
                       s->colours);
      }
      for (int64_t c = 0; c < channels; c++) seen.value[c * n + i] = s->colour[index][c];
    }
    image_free(&s->image);
  }
  s->image = seen, s->colours = 0;
  return true;
}

/* ---- colours where numbers are wanted ---- */

static bool channels_equal(const Image *r) {
  int64_t n = grid_count(&r->grid);
  return !memcmp(r->value, r->value + n, (size_t)n * sizeof *r->value) &&
         !memcmp(r->value, r->value + 2 * n, (size_t)n * sizeof *r->value);
}

static uint32_t packed(const Image *r, int64_t i) {
  int64_t n = grid_count(&r->grid);
  uint32_t rgb = 0;
  for (int c = 0; c < 3; c++) {
    double byte = r->full > 0 ? (double)r->value[c * n + i] * 255 / r->full : (double)r->value[c * n + i];
    rgb = rgb << 8 | (uint32_t)fmin(fmax(byte, 0), 255);
  }
  return rgb;
}

enum { LISTED = 4 }; /* colours that a message names */

/* Lists the first colours in text; returns how many there are (-1: no memory to count them). */
static int list_colours(const Image *r, char text[64], char first[LISTED][8]) {
  uint8_t *met = calloc(1 << 21, 1); /* a bit for each of 2^24 */
  int colours = 0;
  *text = 0;
  for (int64_t i = 0; met && i < grid_count(&r->grid); i++) {
    uint32_t rgb = packed(r, i);
    if (met[rgb >> 3] >> (rgb & 7) & 1) continue;
    met[rgb >> 3] |= (uint8_t)(1 << (rgb & 7));
    if (colours < LISTED) {
      snprintf(first[colours], 8, "#%06x", rgb);
      snprintf(text + strlen(text), 64 - strlen(text), " %s", first[colours]);
    }
    colours++;
  }
  free(met);
  return colours;
}

static bool refuse_colours(const Stored *s, const char *path, char err[ERR_MAX]) {
  char text[64], first[LISTED][8] = {"#ff0000", "#ff0000"};
  int colours = list_colours(&s->image, text, first);
  return err_set(err,
                 "%s: a colour picture (RGB, %d bits, %d colours:%s%s) where a mask's numbers are expected; "
                 "map colours to classes in the module's `labels` (\"%s\": \"NAME\"), or save it as grey or "
                 "palette indices",
                 path, s->bits, colours, text, colours > LISTED ? " .." : "", first[colours > 1]);
}

static bool to_numbers(Stored *s, const char *path, Notes *notes, char err[ERR_MAX]) {
  note_palette(s, path, notes);
  if (s->colours) s->image.full = 0;
  if (s->image.channels == 3 && s->image.value && !channels_equal(&s->image))
    return refuse_colours(s, path, err);
  if (s->image.channels > 1 && s->image.channels != 3)
    return err_set(err, "%s: %d channels, where a mask has one", path, s->image.channels);
  s->image.channels = 1;
  return true;
}

/* ---- numbers where colours are wanted ---- */

static bool to_colours(Stored *s, const char *path, char err[ERR_MAX]) {
  if (s->colours) return look_up(s, path, 3, err);
  Image *r = &s->image, seen = *r;
  if (r->channels != 1 && r->channels != 3)
    return err_set(err, "%s: %d channels; colours are 1 (grey) or 3", path, r->channels);
  if (r->full <= 0)
    return err_set(err,
                   "%s: its numbers may be any, where colours of 0 to white are expected: save it as 8 "
                   "bits without sign",
                   path);
  seen.channels = 3, seen.full = 255;
  int64_t n = grid_count(&r->grid);
  if (r->value) {
    if (!image_alloc(&seen, path, err)) return false;
    for (int64_t i = 0; i < 3 * n; i++)
      seen.value[i] = (float)rint((double)r->value[r->channels == 1 ? i % n : i] * 255 / r->full);
    image_free(r);
  }
  *r = seen;
  return true;
}

bool stored_deliver(Stored *s, const char *path, const Wish *wish, Image *out, char err[ERR_MAX]) {
  bool ok = picture_turn(&s->image, s->orientation, path, err);
  if (ok && s->orientation > 1)
    note(wish->notes, "pictures that say they lie turned (EXIF or TIFF orientation) are read upright, as "
                      "viewers show them");
  if (ok && wish->as == READ_NUMBERS) ok = to_numbers(s, path, wish->notes, err);
  if (ok && wish->as == READ_COLOURS) ok = to_colours(s, path, err);
  if (ok && wish->as == READ_IMAGE && s->colours) ok = look_up(s, path, palette_is_grey(s) ? 1 : 3, err);
  if (ok) *out = s->image;
  else image_free(&s->image), *out = s->image;
  return ok;
}

/* ---- masks that are written ---- */

int32_t mask_value(const Written *what, int64_t class) {
  if (what->value) return what->value[class];
  return (int32_t)(what->spatial == 2 && what->classes <= 2 ? class * 255 : class);
}

int mask_bytes(const Written *what, const char *path, const char *format, char err[ERR_MAX]) {
  int bytes = 1;
  if (!what->mask)
    return err_set(err, "%s: probabilities are not written as %s, which holds masks", path, format);
  for (int64_t k = 0; k < what->classes; k++) {
    int32_t v = mask_value(what, k);
    if (v < 0 || v > UINT16_MAX)
      return err_set(err, "%s: class %d is to be written as %d; %s holds 0..65535", path, (int)k, v, format);
    if (v > UINT8_MAX) bytes = 2;
  }
  return bytes;
}
