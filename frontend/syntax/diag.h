/* diag.h - source files and error messages.
 *
 *   models/unet.net:12:7: error: conv: ...
 *     x = conv(x, 64, 3)
 *         ^
 *   note: in block double_conv called from models/unet.net:30:9 */
#ifndef NETC_DIAG_H
#define NETC_DIAG_H
#include "ir/ir.h"

/* A file that was read. Lines end at '\n'; columns count characters (UTF-8 code points) from 1. */
typedef struct Source {
  const char *path; /* as shown in messages; the pointer identifies the file */
  const char *text;
  size_t size;
  struct Source *next;
} Source;

typedef struct {
  Arena *arena;
  FILE *out;
  int errors, max_errors;
  bool full; /* max_errors reached: nothing is reported any more, and work should end */
  Source *sources;
  const Loc **seen; /* places already reported: one error per place */
  int nseen, capseen;
} Diag;

Source *diag_source(Diag *d, const char *path, const char *text, size_t size);
/* Reports an error at loc (with the source line, a caret and the chain of calls). A place is reported once.
 */
void diag_error(Diag *d, const Loc *loc, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* A line that belongs to the last error; call only when diag_error() returned with errors raised. */
void diag_note(Diag *d, const Loc *loc, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
#endif
