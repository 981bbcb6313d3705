/* test_passes_doc.c - docs/passes.md: a section named like a pass holds a function's body before and after
 * that pass. */
#include <stdlib.h>
#include <string.h>
#include "tests/test.h"
#include "tests/text.h"
#include "passes/passes.h"

static char *read_doc(Arena *a) {
  char *text = read_text("docs/passes.md");
  assert_non_null(text);
  char *copy = arena_printf(a, "%s", text);
  free(text);
  return copy;
}

/* The next block of IR after p, ends at `end`; NULL = none. Moves *p behind it. */
static char *next_block(Arena *a, const char **p, const char *end) {
  const char *from = strstr(*p, "```ir\n");
  if (!from || from >= end) return NULL;
  from += strlen("```ir\n");
  const char *to = strstr(from, "```\n");
  assert_non_null(to);
  *p = to + strlen("```\n");
  return arena_printf(a, "%.*s", (int)(to - from), from);
}

static void check_example(const Pass *pass, const char *before, const char *after) {
  char err[IR_ERR] = "", *text;
  size_t size;
  Arena *a = arena_new();
  Program *p =
      ir_parse(a, arena_printf(a, "program \"doc\" storage bf16\nfn forward \"f\" {\n%s}\n", before), err);
  if (!p) fail_msg("%s: %s", pass->name, err);
  Fn *f = pass->run(p->fn[0], err);
  if (!f || !fn_verify(f, err)) fail_msg("%s: %s", pass->name, err);
  FILE *out = open_memstream(&text, &size);
  fn_print(out, f);
  fclose(out);
  assert_string_equal(text, arena_printf(a, "fn forward \"f\" {\n%s}\n", after));
  free(text);
  arena_free(a);
}

TEST(examples_of_the_page_are_what_the_passes_make) {
  Arena *a = arena_new();
  const char *doc = read_doc(a);
  for (const Pass *pass = pass_table; pass->name; pass++) {
    if (!strcmp(pass->name, "simplify2")) continue;
    const char *at = strstr(doc, arena_printf(a, "\n## %s\n", pass->name));
    if (!at) fail_msg("docs/passes.md has no section about %s", pass->name);
    const char *end = strstr(at + 1, "\n## ");
    if (!end) end = at + strlen(at);
    int pairs = 0;
    for (char *before; (before = next_block(a, &at, end)); pairs++) {
      char *after = next_block(a, &at, end);
      if (!after) fail_msg("docs/passes.md, %s: an example has no end", pass->name);
      check_example(pass, before, after);
    }
    if (!pairs) fail_msg("docs/passes.md shows no example of %s", pass->name);
  }
  arena_free(a);
}

RUN_TESTS(NULL, NULL)
