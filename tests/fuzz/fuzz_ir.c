/* fuzz_ir.c - no text harms the IR parser, and what passes the verifier prints to a text that parses to the
 * same text. */
#include <stdlib.h>
#include <string.h>
#include "ir/ir.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *printed(const Program *p) {
  char *text = NULL;
  size_t size;
  FILE *out = open_memstream(&text, &size);
  ir_print(out, p);
  fclose(out);
  return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char err[IR_ERR];
  Arena *a = arena_new();
  Program *p = ir_parse(a, arena_strndup(a, (const char *)data, size), err);
  if (p && ir_verify(p, err)) {
    char *first = printed(p);
    Program *q = ir_parse(a, first, err);
    if (!q || !ir_verify(q, err)) abort();
    char *second = printed(q);
    if (strcmp(first, second)) abort();
    free(first);
    free(second);
  }
  arena_free(a);
  return 0;
}
