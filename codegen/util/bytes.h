/* bytes.h - growing byte strings, for keys and files. */
#ifndef NETC_BYTES_H
#define NETC_BYTES_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
  uint8_t *data; /* malloc'd */
  size_t n, cap;
} Bytes;

void bytes_add(Bytes *b, const void *data, size_t n);
/* Small numbers in one byte, larger ones in up to ten: seven bits each, lowest first. */
void bytes_number(Bytes *b, uint64_t v);
/* Its length and the text itself, so that no two lists of texts give the same bytes. */
void bytes_text(Bytes *b, const void *text, size_t n);
bool bytes_equal(const Bytes *a, const Bytes *b);
/* The rest of file `fd`. false: cannot be read. */
bool bytes_read(Bytes *b, int fd);
/* All of b to `fd`; false with errno set. */
bool bytes_write(const Bytes *b, int fd);
void bytes_free(Bytes *b);

/* FNV-1a with 128 bits: names things and finds damage. It is no proof of equality: where that matters the
 * bytes are compared. */
typedef struct {
  uint64_t high, low;
} Hash;
Hash hash_bytes(const void *data, size_t n);
const char *hash_text(Hash h, char out[33]); /* 32 digits */
#endif
