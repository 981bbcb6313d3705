#include <string.h>
#include "codegen/module/source_lines.h"

static bool same_text(const char *a, const char *b) { return a == b || (a && b && !strcmp(a, b)); }

int place_index(Places *p, const Loc *loc) {
  if (!loc || !loc->file) return -1;
  NetcSourceLine new = {loc->file, loc->block, loc->line, place_index(p, loc->caller)};
  for (int i = 0; i < p->n; i++) {
    const NetcSourceLine *o = &p->place[i];
    if (o->line == new.line && o->caller == new.caller &&same_text(o->file, new.file) &&
        same_text(o->block, new.block))
      return i;
  }
  *ARENA_PUSH(p->arena, p->place, p->n, p->cap) = new;
  return p->n - 1;
}
