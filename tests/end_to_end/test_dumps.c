/* test_dumps.c - what netc --emit prints of a model: all of its kernels, as text that parses back as the same
 * kernels. */
#include <ctype.h>
#include "tests/test.h"
#include "codegen/kir/kir.h"

#include "tests/end_to_end/shell.h"
#include "tests/text.h"

static Arena *arena;

FIXTURE(set_up) {
  arena = arena_new();
  return shell_set_up(state);
}

FIXTURE(tear_down) {
  arena_free(arena);
  return scratch_tear_down(state);
}

static char *read_output(const char *name) {
  char *text = read_text(in_root(name));
  assert_non_null(text);
  return text;
}

/* Numbers of values by the order they turn up in, from one kernel to the next: v1, v2, .. Fewer digits never
 * take more place. */
static void renumber(char *text) {
  int cap = 1 << 20, *name = calloc((size_t)cap, sizeof *name), known = 0;
  char *to = text;
  for (char *c = text; *c;) {
    if (!strncmp(c, "kernel ", 7)) memset(name, 0, (size_t)cap * sizeof *name), known = 0;
    bool value = *c == 'v' && isdigit((unsigned char)c[1]) && c > text && c[-1] == ' ';
    if (!value) {
      *to++ = *c++;
      continue;
    }
    long v = strtol(c + 1, &c, 10);
    assert_true(v < cap);
    if (!name[v]) name[v] = ++known;
    to += sprintf(to, "v%d", name[v]);
  }
  *to = 0;
  free(name);
}

/* All kernels of a text, printed again. */
static char *reprint(const char *text, int *kernels) {
  char *again = NULL, err[IR_ERR] = "";
  size_t size = 0;
  FILE *out = open_memstream(&again, &size);
  for (KFn *k; (k = kir_parse(arena, &text, err)); ++*kernels) kir_print(out, k);
  fclose(out);
  if (*err) fail_msg("%s", err);
  return again;
}

static void check(const char *options, const char *kernel) {
  runs(NETC_BINARY " %s/models/%s --emit kernels --verify >kernels", source, options);
  char *text = read_output("kernels");
  int kernels = 0;
  char *again = reprint(text, &kernels);
  assert_true(kernels > 20);
  assert_non_null(strstr(text, kernel));
  renumber(text), renumber(again);
  assert_true(strcmp(text, again) == 0); /* too long to be printed */
  free(text), free(again);
}

TEST(dumped_kernels_read_back_the_same) {
  const char *small = "unet.net -D widths=[8,16] -D size=[32,32] -D batch=1 --no-grads";
  char options[256];
  snprintf(options, sizeof options, "%s --target portable", small);
  check(options, "lanes 8 {");
  check(small, "kernel \"conv:"); /* whatever this machine has */
  snprintf(options, sizeof options, "%s -D precision=bf16 --target ptx", small);
  check(options, "lanes 32 ");
}

/* The other kinds say something, too. */
TEST(every_other_kind_of_dump_says_something) {
  static const char *const emit[][2] = {{"ast", "net"},   {"graph", "fn train"}, {"llvm", "define "},
                                        {"asm", ".text"}, {"ptx", ".entry"},     {"plan", "arena "}};
  for (int i = 0; i < 6; i++) {
    runs(NETC_BINARY
         " %s/models/unet.net -D widths=[8,16] -D size=[32,32] -D batch=1 --no-grads --emit %s >text",
         source, emit[i][0]);
    char *text = read_output("text");
    if (!strstr(text, emit[i][1])) fail_msg("--emit %s says nothing of `%s`", emit[i][0], emit[i][1]);
    free(text);
  }
}

RUN_TESTS(set_up, tear_down)
