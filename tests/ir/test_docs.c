/* test_docs.c - docs/ops.md is what ir/ops.def says, and the example of docs/ir.md parses. `test_docs write`
 * renews docs/ops.md. */
#include <stdlib.h>
#include <string.h>
#include "tests/test.h"
#include "tests/text.h"
#include "ir/ir.h"

TEST(the_table_of_ops_is_what_the_definitions_say) {
  char *want = NULL, *have = read_text("docs/ops.md");
  size_t size;
  FILE *out = open_memstream(&want, &size);
  ops_print_markdown(out);
  fclose(out);
  if (!have || strcmp(want, have))
    fail_msg("docs/ops.md is not what ir/ops.def says; run build/tests/test_docs write");
  free(want);
  free(have);
}

TEST(the_example_of_the_text_form_parses) {
  char err[IR_ERR] = "", *doc = read_text("docs/ir.md");
  assert_non_null(doc);
  char *from = strstr(doc, "```ir\n");
  assert_non_null(from);
  from += strlen("```ir\n");
  char *end = strstr(from, "```");
  assert_non_null(end);
  *end = 0;
  Arena *a = arena_new();
  Program *p = ir_parse(a, from, err);
  if (!p || !ir_verify(p, err)) fail_msg("docs/ir.md: %s", err);
  assert_int_equal(p->nfn, 2);
  arena_free(a);
  free(doc);
}

int main(int argc, char **argv) {
  if (argc == 2 && !strcmp(argv[1], "write")) {
    FILE *out = fopen("docs/ops.md", "w");
    if (!out) return perror("docs/ops.md"), 1;
    ops_print_markdown(out);
    return fclose(out) != 0;
  }
  return test_run(argc, argv, NULL, NULL);
}
