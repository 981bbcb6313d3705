/* source_lines.h - the lines of the .net files that launches come from, each once: a list of NetcSourceLine in which callers
 * come before the places they called. */
#ifndef NETC_PLACES_H
#define NETC_PLACES_H
#include "codegen/abi.h"
#include "ir/ir.h"

typedef struct {
  Arena *arena;
  NetcSourceLine *place;
  int n, cap;
} Places;

/* Index of a place, adding it and its callers; -1 for NULL. Columns do not count: a line is one place. */
int place_index(Places *p, const Loc *loc);
#endif
