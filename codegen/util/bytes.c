/* bytes.c - growing byte strings and their hash. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "codegen/util/bytes.h"

static void reserve(Bytes *b, size_t more) {
  if (b->cap - b->n >= more) return;
  size_t cap = b->cap ? b->cap : 256;
  while (cap - b->n < more) cap *= 2;
  uint8_t *grown = realloc(b->data, cap);
  if (!grown) {
    fputs("netc: out of memory\n", stderr);
    exit(1);
  }
  b->data = grown;
  b->cap = cap;
}

void bytes_add(Bytes *b, const void *data, size_t n) {
  if (n == 0) return;
  reserve(b, n);
  memcpy(b->data + b->n, data, n);
  b->n += n;
}

void bytes_number(Bytes *b, uint64_t v) {
  reserve(b, 10);
  for (; v >= 128; v >>= 7) b->data[b->n++] = (uint8_t)(v | 128);
  b->data[b->n++] = (uint8_t)v;
}

void bytes_text(Bytes *b, const void *text, size_t n) {
  bytes_number(b, n);
  bytes_add(b, text, n);
}

bool bytes_equal(const Bytes *a, const Bytes *b) {
  return a->n == b->n && (a->n == 0 || !memcmp(a->data, b->data, a->n));
}

bool bytes_read(Bytes *b, int fd) {
  for (;;) {
    reserve(b, 1 << 16);
    ssize_t got = read(fd, b->data + b->n, b->cap - b->n);
    if (got == 0) return true;
    if (got > 0) b->n += (size_t)got;
    else if (errno != EINTR) return false;
  }
}

bool bytes_write(const Bytes *b, int fd) {
  for (size_t at = 0; at < b->n;) {
    ssize_t put = write(fd, b->data + at, b->n - at);
    if (put > 0) at += (size_t)put;
    else if (put == 0 || errno != EINTR) return false;
  }
  return true;
}

void bytes_free(Bytes *b) {
  free(b->data);
  *b = (Bytes){0};
}

Hash hash_bytes(const void *data, size_t n) {
  __extension__ typedef unsigned __int128 Wide;
  const Wide prime = (Wide)1 << 88 | 0x13B;
  Wide h = (Wide)0x6C62272E07BB0142u << 64 | 0x62B821756295C58Du;
  for (const uint8_t *p = data; n > 0; n--) h = (h ^ *p++) * prime;
  return (Hash){(uint64_t)(h >> 64), (uint64_t)h};
}

const char *hash_text(Hash h, char out[33]) {
  snprintf(out, 33, "%016llx%016llx", (unsigned long long)h.high, (unsigned long long)h.low);
  return out;
}
