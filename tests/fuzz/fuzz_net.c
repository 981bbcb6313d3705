/* fuzz_net.c - no text harms the language's front end; what compiles is a graph that verifies. Files cannot
 * be read: the path's folder does not exist. */
#include <stdlib.h>
#include "frontend/frontend.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static FILE *nowhere;
  if (!nowhere) nowhere = fopen("/dev/null", "w");
  Arena *a = arena_new();
  Define d[] = {{"batch", "2"}};
  FrontendOptions opt = {.diag = nowhere, .dump_ast = nowhere, .grads = true, .define = d};
  opt.ndefine = size > 0 && data[0] == '#'; /* both with and without definitions */
  Program *p = frontend_compile_text(a, "no/such/folder/fuzz.net", arena_strndup(a, (const char *)data, size),
                                     &opt, NULL);
  char err[IR_ERR];
  if (p && !ir_verify(p, err)) abort();
  arena_free(a);
  return 0;
}
