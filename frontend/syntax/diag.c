/* diag.c - error messages with their source line. */
#include "frontend/syntax/diag.h"
#include <string.h>

enum { SHOWN_BYTES = 200, MAX_CHAIN = 12 };

Source *diag_source(Diag *d, const char *path, const char *text, size_t size) {
  Source *s = arena_alloc(d->arena, sizeof *s);
  *s = (Source){path, text, size, d->sources};
  d->sources = s;
  return s;
}

static const Source *find_source(const Diag *d, const char *path) {
  for (const Source *s = d->sources; s; s = s->next)
    if (s->path == path) return s;
  return NULL;
}

/* The line's text and length; length 0 when there is none. */
static const char *line_text(const Source *s, int line, size_t *len) {
  const char *p = s->text, *end = s->text + s->size;
  for (int i = 1; i < line && p < end; i++) {
    const char *nl = memchr(p, '\n', (size_t)(end - p));
    p = nl ? nl + 1 : end;
  }
  const char *nl = memchr(p, '\n', (size_t)(end - p));
  *len = (size_t)((nl ? nl : end) - p);
  return p;
}

/* Prints the line and a caret below column col. Tabs are kept in the caret's line so that both lines align.
 */
static void show_line(Diag *d, const Loc *loc) {
  const Source *s = find_source(d, loc->file);
  if (!s) return;
  size_t len;
  const char *p = line_text(s, loc->line, &len);
  if (len == 0 || len > SHOWN_BYTES) return; /* generated or hostile lines help nobody */
  fputs("  ", d->out);
  for (size_t i = 0; i < len; i++) {
    unsigned char ch = (unsigned char)p[i];
    fputc(ch == '\t' || (ch >= ' ' && ch != 127) ? ch : ' ', d->out);
  }
  fputs("\n  ", d->out);
  int col = 1;
  for (size_t i = 0; i < len && col < loc->col; i++) {
    if (((unsigned char)p[i] & 0xC0) == 0x80) continue; /* inside a character: no column of its own */
    fputc(p[i] == '\t' ? '\t' : ' ', d->out);
    col++;
  }
  /* A character's continuation bytes follow its first one, so the caret never splits it. */
  fputs("^\n", d->out);
}

static bool same_place(const Loc *a, const Loc *b) {
  return a->file == b->file && a->line == b->line && a->col == b->col;
}

static bool seen_before(Diag *d, const Loc *loc) {
  for (int i = 0; i < d->nseen; i++)
    if (same_place(d->seen[i], loc)) return true;
  *ARENA_PUSH(d->arena, d->seen, d->nseen, d->capseen) = loc;
  return false;
}

static void show_chain(Diag *d, const Loc *loc) {
  int shown = 0;
  for (; loc && loc->caller; loc = loc->caller) {
    const Loc *c = loc->caller;
    if (shown++ == MAX_CHAIN) {
      fputs("note: ... and further calls\n", d->out);
      return;
    }
    fprintf(d->out, "note: in block %s called from %s:%d:%d\n", loc->block ? loc->block : "?", c->file,
            c->line, c->col);
  }
}

/* FILE:LINE:COLUMN: what: the message, and the line below it. */
__attribute__((format(printf, 4, 0))) static void show(Diag *d, const Loc *loc, const char *what,
                                                       const char *fmt, va_list ap) {
  fprintf(d->out, "%s:%d:%d: %s: ", loc->file, loc->line, loc->col, what);
  vfprintf(d->out, fmt, ap);
  fputc('\n', d->out);
  show_line(d, loc);
}

void diag_error(Diag *d, const Loc *loc, const char *fmt, ...) {
  d->errors++;
  if (d->full || seen_before(d, loc)) return;
  va_list ap;
  va_start(ap, fmt);
  show(d, loc, "error", fmt, ap);
  va_end(ap);
  show_chain(d, loc);
  if (d->nseen >= d->max_errors) {
    d->full = true;
    fprintf(d->out, "%d errors; stopping here\n", d->nseen);
  }
}

void diag_note(Diag *d, const Loc *loc, const char *fmt, ...) {
  if (d->full) return;
  va_list ap;
  va_start(ap, fmt);
  show(d, loc, "note", fmt, ap);
  va_end(ap);
}
