/* frontend.h - a .net file becomes a Program: parsed, checked, unrolled, shaped. Language:
 * docs/language.md. */
#ifndef NETC_FRONTEND_H
#define NETC_FRONTEND_H
#include "ir/ir.h"

typedef struct {
  const char *name,
      *value; /* -D name=value; value in the syntax of an expression: 4, [128,128], "paper", on */
} Define;

typedef struct {
  const Define *define;
  int ndefine;
  FILE *
      diag; /* where errors go, as file:line:col: error: ... with the line, a caret and the chain of blocks */
  FILE *dump_ast; /* print the syntax tree there after parsing; NULL = no */
  /* also make NAME.grads: the training function with every gradient as output "grad:VARIABLE", no stores */
  bool grads;
  int max_errors; /* 0: 20 */
  /* where not NULL: receives the files that were read (frontend/syntax/diag.h), the last one first */
  const struct Source **sources;
} FrontendOptions;

/* The program, or NULL after reporting at least one error. *options receives the options in force as text
 * ("batch=4 size=[256,256]"), in the order they are declared. */
Program *frontend_compile(Arena *a, const char *path, const FrontendOptions *opt, const char **options);
/* The same from memory (fuzzing, tests): `use` of other files is resolved against the directory of `path`. */
Program *frontend_compile_text(Arena *a, const char *path, const char *text, const FrontendOptions *opt,
                               const char **options);
/* The whole text of a file; NULL with errno set. */
char *frontend_read(Arena *a, const char *path, size_t *size);
#endif
