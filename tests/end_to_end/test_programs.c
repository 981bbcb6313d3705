/* test_programs.c - programs nobody wrote: the methods of tests/frontend/methods with numbers, functions and
 * operators exchanged at random. Whatever the frontend accepts must go through every pass, with the verifier
 * and the fusion's promises checked, through every emitter, and leave kernels that verify. */
#include <ctype.h>
#include <glob.h>
#include <string.h>
#include "tests/test.h"
#include "tests/text.h"
#include "codegen/emit/core/emit.h"
#include "frontend/frontend.h"
#include "ir/philox.h"
#include "passes/passes.h"

enum { MUTANTS = 12, EDITS = 3 };

typedef struct {
  uint64_t seed, drawn;
} Dice;

static size_t roll(Dice *d, size_t n) {
  uint32_t x[4];
  philox_at(x, d->seed, 0, 0, d->drawn++);
  return x[0] % n;
}

/* Words that mean something else, but fit where the other stands. */
static const char *const alike[][5] = {
    {"relu", "sigmoid", "tanh", "abs", "exp"},
    {"mean", "sum"},
    {"max", "min"},
    {"softmax", "sigmoid", "relu"},
    {"+", "-", "*", "/"},
    {"on", "off"},
    {"adam", "sgd"},
    {"ce", "mse"},
};

static const char *exchange(Arena *a, Dice *d, const char *word) {
  if (isdigit((unsigned char)*word)) return arena_printf(a, "%d", (int)roll(d, 7));
  for (size_t i = 0; i < sizeof alike / sizeof *alike; i++)
    for (size_t k = 0; k < 5 && alike[i][k]; k++) {
      if (strcmp(alike[i][k], word)) continue;
      const char *other = alike[i][roll(d, 5)];
      return other ? other : alike[i][0];
    }
  return NULL;
}

/* Length of the word, number or operator at p; strings, comments and the rest count as 0. */
static size_t word_at(const char *p) {
  size_t n = 0;
  if (strchr("+-*/", *p) && p[1] == ' ') return 1;
  while (isalnum((unsigned char)p[n]) || p[n] == '_' || p[n] == '.') n++;
  return n;
}

/* The text with some words exchanged, about EDITS of them. */
static const char *mutant(Arena *a, Dice *d, const char *text) {
  size_t words = 0, size = 0;
  char *to = arena_alloc(a, 4 * strlen(text) + 1);
  for (const char *p = text; *p; p++) words += word_at(p) > 0 && (p == text || !word_at(p - 1));
  for (const char *p = text; *p;) {
    size_t n = *p == '#'   ? strcspn(p, "\n")
               : *p == '"' ? strcspn(p + 1, "\"") + 2
                           : 0,
           w = n ? 0 : word_at(p);
    const char *other =
        w && roll(d, words) < EDITS * 4 ? exchange(a, d, arena_printf(a, "%.*s", (int)w, p)) : NULL;
    if (!n) n = w ? w : 1;
    memcpy(to + size, other ? other : p, other ? strlen(other) : n);
    size += other ? strlen(other) : n;
    p += n;
  }
  return to;
}

static const char *read_source(Arena *a, const char *path) {
  char *text = read_text(path);
  assert_non_null(text);
  char *copy = arena_printf(a, "%s", text);
  free(text);
  return copy;
}

static void check_kernels(const Emit *e, const char *text) {
  char err[IR_ERR] = "";
  for (int i = 0; i < e->nkernel; i++)
    for (int isa = 0; isa < NETC_ISA_COUNT; isa++)
      if (e->kernel[i].k[isa] && !kir_verify(e->kernel[i].k[isa], err))
        fail_msg("kernel %s: %s\n%s", e->kernel[i].name, err, text);
}

/* Whether the frontend took the program. */
static bool try_program(const char *path, uint64_t seed) {
  char err[IR_ERR] = "";
  Arena *a = arena_new();
  Dice d = {seed, 0};
  const char *text = mutant(a, &d, read_source(a, path));
  FILE *quiet = fopen("/dev/null", "w");
  assert_non_null(quiet);
  Program *p = frontend_compile_text(a, path, text, &(FrontendOptions){.diag = quiet, .grads = true}, NULL);
  fclose(quiet);
  if (p && seed % 2) p->storage = BF16;
  if (p && !passes_run(p, &(PassOptions){.verify = true}, err)) fail_msg("%s\n%s", err, text);
  for (int i = 0; p && i < p->nfn; i++) {
    Emit *e = emit_fn(a, p->fn[i], NULL, err);
    if (!e) fail_msg("%s\n%s", err, text);
    check_kernels(e, text);
  }
  arena_free(a);
  return p != NULL;
}

TEST(mutated_programs_compile_or_are_refused) {
  glob_t found;
  assert_int_equal(glob("tests/frontend/methods/*.net", 0, NULL, &found), 0);
  int taken = 0, tried = 0;
  for (size_t i = 0; i < found.gl_pathc; i++)
    for (uint64_t k = 0; k < MUTANTS; k++, tried++) taken += try_program(found.gl_pathv[i], 100 * i + k);
  globfree(&found);
  print_message("%d of %d programs compile\n", taken, tried);
  assert_true(taken >= tried / 5);
}

RUN_TESTS(NULL, NULL)
