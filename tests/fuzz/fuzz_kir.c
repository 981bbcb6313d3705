/* fuzz_kir.c - no text harms the reader of kernels, and what it takes prints to a text that reads back as the
 * same kernel. */
#include <stdlib.h>
#include <string.h>
#include "codegen/kir/kir.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *printed(const KFn *k) {
  char *text = NULL;
  size_t size;
  FILE *out = open_memstream(&text, &size);
  kir_print(out, k);
  fclose(out);
  return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char err[IR_ERR];
  Arena *a = arena_new();
  const char *text = arena_strndup(a, (const char *)data, size);
  for (KFn *k; (k = kir_parse(a, &text, err));) {
    char *first = printed(k);
    const char *at = first;
    KFn *again = kir_parse(a, &at, err);
    if (!again || *at || kir_hash(k) != kir_hash(again)) abort();
    free(first);
  }
  arena_free(a);
  return 0;
}
