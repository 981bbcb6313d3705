/* exif.c - how a camera was held: the orientation in an EXIF block, and the picture turned upright. The block
 * is a TIFF directory; of its hundreds of tags one 16-bit number is wanted, which is less to read than
 * a library for all of them would be. */
#include <stdlib.h>
#include <string.h>
#include "runtime/io/picture/stored.h"

enum { ORIENTATION_TAG = 0x0112, SHORT_TYPE = 3, ENTRY_BYTES = 12 };

typedef struct {
  const uint8_t *at;
  size_t size;
  bool big; /* byte order */
} Block;

static uint32_t number(const Block *b, size_t at, int bytes) {
  uint32_t v = 0;
  for (int i = 0; i < bytes; i++) v |= (uint32_t)b->at[at + (size_t)i] << 8 * (b->big ? bytes - 1 - i : i);
  return v;
}

int exif_orientation(const uint8_t *exif, size_t size) {
  Block b = {exif, size, size > 0 && *exif == 'M'};
  if (size < 8 || (memcmp(exif, "II", 2) && memcmp(exif, "MM", 2)) || number(&b, 2, 2) != 42) return 0;
  size_t at = number(&b, 4, 4);
  if (at < 8 || at > size - 2) return 0;
  uint32_t entries = number(&b, at, 2);
  for (at += 2; entries > 0; entries--, at += ENTRY_BYTES) {
    if (size - at < ENTRY_BYTES) return 0;
    if (number(&b, at, 2) != ORIENTATION_TAG) continue;
    uint32_t value = number(&b, at + 8, 2);
    return number(&b, at + 2, 2) == SHORT_TYPE && value >= 1 && value <= 8 ? (int)value : 0;
  }
  return 1;
}

/* Where the upright pixel (y,x) is stored in a picture of h x w. */
static int64_t stored_at(int orientation, int64_t h, int64_t w, int64_t y, int64_t x) {
  int64_t row = orientation >= 5 ? x : y, column = orientation >= 5 ? y : x;
  if (orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7) row = h - 1 - row;
  if (orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8) column = w - 1 - column;
  return row * w + column;
}

bool picture_turn(Image *image, int orientation, const char *path, char err[ERR_MAX]) {
  if (orientation <= 1) return true;
  Image turned = *image;
  int64_t h = image->grid.dim[0], w = image->grid.dim[1], n = h * w;
  if (orientation >= 5) {
    double mm[3] = {image->grid.to_mm[1][1], image->grid.to_mm[0][0], image->grid.to_mm[2][2]};
    turned.grid = grid_plain((int64_t[]){w, h, 1}, mm);
  }
  if (image->value) {
    if (!image_alloc(&turned, path, err)) return false;
    int64_t columns = turned.grid.dim[1];
    for (int64_t i = 0; i < n; i++) {
      int64_t from = stored_at(orientation, h, w, i / columns, i % columns);
      for (int64_t c = 0; c < image->channels; c++) turned.value[c * n + i] = image->value[c * n + from];
    }
    image_free(image);
  }
  *image = turned;
  return true;
}
