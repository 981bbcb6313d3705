/* text.h - a file as text. */
#ifndef NETC_TEST_TEXT_H
#define NETC_TEST_TEXT_H
#include <stdio.h>
#include <stdlib.h>

/* To be freed; NULL if it cannot be read. */
static inline char *read_text(const char *path) {
  FILE *f = fopen(path, "rb");
  if (!f) return NULL;
  char *text = NULL;
  size_t size;
  FILE *to = open_memstream(&text, &size);
  for (int ch; (ch = fgetc(f)) != EOF;) fputc(ch, to);
  fclose(f), fclose(to);
  return text;
}
#endif
