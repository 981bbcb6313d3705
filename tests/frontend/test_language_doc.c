/* test_language_doc.c - docs/language.md is complete: every function stands there with every parameter, and
 * its first example compiles. */
#include <stdlib.h>
#include <string.h>
#include "tests/test.h"
#include "tests/text.h"
#include "frontend/eval/eval.h"

static char *doc(Arena *a) {
  char *text = read_text("docs/language.md");
  assert_non_null(text);
  char *copy = arena_printf(a, "%s", text);
  free(text);
  return copy;
}

/* Is `name` a whole word within s[0..len)? */
static bool has_word(const char *s, size_t len, const char *name) {
  size_t n = strlen(name);
  const char *word = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";
  for (const char *p = s; p + n <= s + len; p++)
    if (!strncmp(p, name, n) && !strchr(word, p[n]) && (p == s || !strchr(word, p[-1]))) return true;
  return false;
}

/* Some place "`NAME(...)`" mentions every optional parameter: those are what a reader calls by name. */
static bool described(const char *text, const Builtin *b) {
  char start[40];
  snprintf(start, sizeof start, "`%s(", b->name);
  for (const char *p = strstr(text, start); p; p = strstr(p + 1, start)) {
    size_t len = strcspn(p + 1, "`");
    bool all = true;
    for (const char *s = b->params; *s; s += strspn(s, " ")) {
      size_t n = strcspn(s, " ");
      char name[20];
      snprintf(name, sizeof name, "%.*s", (int)n - 1, s);
      if (s[n - 1] == '?' && strcmp(name, "y") && strcmp(name, "end") && strcmp(name, "step"))
        all &= has_word(p, len + 1, name);
      s += n;
    }
    if (all) return true;
  }
  return false;
}

TEST(every_function_is_described) {
  Arena *a = arena_new();
  char *text = doc(a);
  const Builtin *const tables[] = {builtins_basic, builtins_tensor, builtins_layer, builtins_train,
                                   builtins_augment};
  int missing = 0;
  for (int t = 0; t < 5; t++)
    for (const Builtin *b = tables[t]; b->name; b++)
      if (!described(text, b)) {
        fprintf(stderr, "docs/language.md does not describe %s(%s)\n", b->name, b->params);
        missing++;
      }
  assert_int_equal(missing, 0);
  arena_free(a);
}

TEST(first_example_compiles) {
  Arena *a = arena_new();
  char *text = doc(a), *from = strstr(text, "    use \"blocks/unet.net\""),
       *to = strstr(text, "\nTensors are");
  assert_non_null(from);
  assert_non_null(to);
  FrontendOptions opt = {.diag = stderr};
  Program *p =
      frontend_compile_text(a, "models/example.net", arena_strndup(a, from, (size_t)(to - from)), &opt, NULL);
  char err[IR_ERR] = "";
  assert_non_null(p);
  assert_true(ir_verify(p, err));
  arena_free(a);
}

TEST(every_batch_field_is_described) {
  Arena *a = arena_new();
  char *text = doc(a);
  for (int i = 0; i < FIELD_KINDS; i++) {
    const char *type = arena_printf(a, "`%s[", field_info[i].type);
    if (!strstr(text, type)) fail_msg("docs/language.md does not say what %s..]` of a batch is", type);
  }
  arena_free(a);
}

RUN_TESTS(NULL, NULL)
