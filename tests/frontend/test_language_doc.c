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
  const Builtin *const tables[] = {builtins_basic, builtins_tensor,  builtins_layer,
                                   builtins_train, builtins_prepare, builtins_augment};
  int missing = 0;
  for (size_t t = 0; t < sizeof tables / sizeof *tables; t++)
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

TEST(every_setting_of_prepare_and_its_words_are_described) {
  static const char *const *const words[] = {word_order, word_plane, word_crop, word_weight, word_post};
  Arena *a = arena_new();
  char *text = doc(a), *from = strstr(text, "\n## Preparation\n"),
       *to = strstr(text, "\n## Predict and forward\n");
  assert_non_null(from);
  assert_non_null(to);
  *to = 0;
  for (int i = 0; prepare_setting(i); i++)
    if (!strstr(from, arena_printf(a, "\n| `%s` |", prepare_setting(i))))
      fail_msg("docs/language.md does not say what prepare's setting %s is", prepare_setting(i));
  for (size_t w = 0; w < sizeof words / sizeof *words; w++)
    for (int i = 0; words[w][i]; i++)
      if (!strstr(from, arena_printf(a, "`\"%s\"`", words[w][i])))
        fail_msg("docs/language.md does not say what \"%s\" is in prepare", words[w][i]);
  arena_free(a);
}

/* The example of the section stands alone in front of a predict. */
TEST(the_example_of_prepare_compiles) {
  Arena *a = arena_new();
  char *text = doc(a), *from = strstr(text, "    option intensity = auto()"),
       *to = strstr(from, "\n| setting");
  assert_non_null(to);
  const char *program = arena_printf(a,
                                     "%.*s\nnet n(x) { return conv(x, 3, 1) }\ns = n()\n"
                                     "predict(image: f32[1, 1, 8, 8, 8]) { return softmax(s(image)) }",
                                     (int)(to - from), from);
  FrontendOptions opt = {.diag = stderr};
  Program *p = frontend_compile_text(a, "models/example.net", program, &opt, NULL);
  assert_non_null(p);
  assert_int_equal(p->prepare->nclass, 3);
  arena_free(a);
}

/* The file of the section on regions stands alone. */
TEST(the_example_of_regions_compiles) {
  Arena *a = arena_new();
  char *text = doc(a), *from = strstr(text, "    option size = [64, 64]\n"), *to = strstr(from, "\n\n**");
  assert_non_null(to);
  FrontendOptions opt = {.diag = stderr};
  Program *p =
      frontend_compile_text(a, "models/example.net", arena_strndup(a, from, (size_t)(to - from)), &opt, NULL);
  char err[IR_ERR] = "";
  assert_non_null(p);
  if (!ir_verify(p, err)) fail_msg("%s", err);
  assert_int_equal(p->prepare->nregion, 2);
  assert_int_equal(p->classes, 3);
  arena_free(a);
}

/* The example of validation, with a body. */
TEST(the_example_of_validation_compiles) {
  Arena *a = arena_new();
  char *text = doc(a), *from = strstr(text, "    option validate ="), *to = strstr(from, "\n\n| setting");
  assert_non_null(to);
  const char *program = arena_printf(
      a,
      "net n(x) { return conv(x, 2, 1) }\ns = n()\n%.*s\n"
      "batch labeled { image: f32[1, 1, 8, 8] }\nupdate s with sgd(1) { minimize mean(s(labeled.image)) } }\n"
      "predict(image: f32[1, 1, 8, 8]) { return softmax(s(image)) }",
      (int)(to - from), from);
  FrontendOptions opt = {.diag = stderr};
  Program *p = frontend_compile_text(a, "models/example.net", program, &opt, NULL);
  assert_non_null(p);
  assert_int_equal(p->validation->every, 500);
  assert_string_equal(p->validation->val, "20%");
  arena_free(a);
}

/* The loss of the section leaves ignored labels out. */
TEST(the_example_of_a_loss_compiles) {
  Arena *a = arena_new();
  char *text = doc(a), *from = strstr(text, "    block focal("), *to = strstr(from, "\n    }\n");
  assert_non_null(to);
  const char *program =
      arena_printf(a,
                   "use \"blocks/losses.net\"\nprepare { labels = [\"background\", \"liver\", \"ignore\"] }\n"
                   "%.*s\n}\nforward f(x: f32[1, 2, 8], l: label[1, 8]) { return focal(x, l) }",
                   (int)(to - from), from);
  FrontendOptions opt = {.diag = stderr};
  assert_non_null(frontend_compile_text(a, "models/example.net", program, &opt, NULL));
  arena_free(a);
}

RUN_TESTS(NULL, NULL)
