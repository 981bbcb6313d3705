/* lzf.c - LZF (Marc Lehmann's LibLZF): runs of literals, and copies of what came before. */
#include "runtime/io/hdf5/lzf.h"
#include <hdf5.h>
#include <string.h>

enum { LZF = 32000, ROOM_FIELD = 2 }; /* the filter's number; which of its numbers is a chunk's size */

size_t lzf_decode(const uint8_t *in, size_t size, uint8_t *out, size_t room) {
  size_t made = 0;
  for (size_t at = 0; at < size;) {
    size_t head = in[at++], n = head >> 5;
    if (n == 0) { /* head + 1 literals */
      n = head + 1;
      if (n > size - at || n > room - made) return 0;
      memcpy(out + made, in + at, n);
      made += n, at += n;
      continue;
    }
    if (n == 7) { /* a long copy */
      if (at == size) return 0;
      n += in[at++];
    }
    if (at == size) return 0;
    size_t back = ((head & 31) << 8 | in[at++]) + 1;
    n += 2;
    if (back > made || n > room - made) return 0;
    for (; n > 0; n--, made++) out[made] = out[made - back]; /* it may run into what it makes */
  }
  return made;
}

/* A chunk is as large as its data set says. */
static size_t filter(unsigned flags, size_t fields, const unsigned *field, size_t size, size_t *room,
                     void **buffer) {
  size_t chunk = fields > ROOM_FIELD ? field[ROOM_FIELD] : 0;
  if (!(flags & H5Z_FLAG_REVERSE) || !chunk) return 0; /* nothing is written */
  uint8_t *out = H5allocate_memory(chunk, false);
  size_t made = out ? lzf_decode(*buffer, size, out, chunk) : 0;
  if (!made) return H5free_memory(out), 0;
  H5free_memory(*buffer);
  *buffer = out, *room = chunk;
  return made;
}

void lzf_register(void) {
  static const H5Z_class2_t lzf = {.version = H5Z_CLASS_T_VERS,
                                   .id = LZF,
                                   .encoder_present = 0,
                                   .decoder_present = 1,
                                   .name = "lzf",
                                   .filter = filter};
  H5Zregister(&lzf);
}
