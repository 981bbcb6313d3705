/* test_dumps.c - what netc --emit prints of a model: all of its kernels, as text that parses back as the same
 * kernels. */
#include <ctype.h>
#include "codegen/kir/kir.h"

#define SHELL_ROOT "/tmp/netc_dumps_XXXXXX"
#include "tests/end_to_end/shell.h"

static char source[4096];
static Arena *arena;

static int set_up(void **state) {
  (void)state;
  arena = arena_new();
  return getcwd(source, sizeof source) && mkdtemp(root) ? 0 : -1;
}

static int tear_down(void **state) {
  (void)state;
  arena_free(arena);
  return sh("rm -r %s", root);
}

static char *read_whole(const char *name) {
  FILE *f = fopen(in_root(name), "r");
  assert_non_null(f);
  fseek(f, 0, SEEK_END);
  size_t n = (size_t)ftell(f);
  char *text = malloc(n + 1);
  rewind(f);
  assert_int_equal(fread(text, 1, n, f), n);
  text[n] = 0;
  fclose(f);
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
  char *text = read_whole("kernels");
  int kernels = 0;
  char *again = reprint(text, &kernels);
  assert_true(kernels > 20);
  assert_non_null(strstr(text, kernel));
  renumber(text), renumber(again);
  assert_true(strcmp(text, again) == 0); /* too long to be printed */
  free(text), free(again);
}

static void test_kernels(void **state) {
  (void)state;
  const char *small = "unet.net -D widths=[8,16] -D size=[32,32] -D batch=1 --no-grads";
  char options[256];
  snprintf(options, sizeof options, "%s --target portable", small);
  check(options, "lanes 8 {");
  check(small, "kernel \"conv:"); /* whatever this machine has */
  snprintf(options, sizeof options, "%s -D precision=bf16 --target ptx", small);
  check(options, "lanes 32 ");
}

/* The other kinds say something, too. */
static void test_others(void **state) {
  (void)state;
  static const char *const emit[][2] = {{"ast", "net"},   {"graph", "fn train"}, {"llvm", "define "},
                                        {"asm", ".text"}, {"ptx", ".entry"},     {"plan", "arena "}};
  for (int i = 0; i < 6; i++) {
    runs(NETC_BINARY
         " %s/models/unet.net -D widths=[8,16] -D size=[32,32] -D batch=1 --no-grads --emit %s >text",
         source, emit[i][0]);
    char *text = read_whole("text");
    if (!strstr(text, emit[i][1])) fail_msg("--emit %s says nothing of `%s`", emit[i][0], emit[i][1]);
    free(text);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_kernels), cmocka_unit_test(test_others)};
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
