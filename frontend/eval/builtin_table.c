/* builtin_table.c - every function of the language that is not written in it, by name. */
#include <string.h>
#include "frontend/eval/eval.h"

static const Builtin *const tables[] = {builtins_basic, builtins_tensor,  builtins_layer,
                                        builtins_train, builtins_prepare, builtins_augment};

const Builtin *find_builtin(const char *name) {
  for (size_t t = 0; t < sizeof tables / sizeof *tables; t++)
    for (const Builtin *b = tables[t]; b->name; b++)
      if (!strcmp(b->name, name)) return b;
  return NULL;
}
