/* test_errors.c - error messages: every tests/err/TOPIC/NAME.net fails with exactly the text in NAME.expect
 * beside it. A first line "# -D a=1 b=2" gives definitions. NETC_UPDATE_GOLDEN=1 writes the files anew. */
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include "tests/test.h"
#include "tests/text.h"
#include "frontend/frontend.h"

/* The definitions of the first line. */
static int first_line_defines(Arena *a, const char *text, Define *d, int most) {
  const char *mark = "# -D ";
  if (strncmp(text, mark, strlen(mark))) return 0;
  char *line = arena_strndup(a, text + strlen(mark), strcspn(text + strlen(mark), "\n"));
  int n = 0;
  for (char *save, *word = strtok_r(line, " ", &save); word && n < most; word = strtok_r(NULL, " ", &save)) {
    char *eq = strchr(word, '=');
    if (!eq) continue;
    *eq = 0;
    d[n++] = (Define){word, eq + 1};
  }
  return n;
}

static char *messages(const char *path) {
  Arena *a = arena_new();
  char *text = NULL, *source = read_text(path);
  size_t size;
  FILE *diag = open_memstream(&text, &size);
  Define d[8];
  FrontendOptions opt = {.diag = diag, .define = d, .grads = true};
  opt.ndefine = first_line_defines(a, source, d, 8);
  const char *options;
  Program *p = frontend_compile(a, path, &opt, &options);
  fclose(diag);
  if (p) fail_msg("%s compiles", path);
  free(source);
  arena_free(a);
  return text;
}

TEST(messages_are_as_expected) {
  glob_t found;
  int wrong = 0;
  assert_int_equal(glob("tests/err/*/*.net", 0, NULL, &found), 0);
  for (size_t i = 0; i < found.gl_pathc; i++) {
    const char *path = found.gl_pathv[i];
    char golden[256];
    snprintf(golden, sizeof golden, "%.*s.expect", (int)(strlen(path) - 4), path);
    char *got = messages(path);
    if (getenv("NETC_UPDATE_GOLDEN")) {
      FILE *f = fopen(golden, "wb");
      assert_non_null(f);
      fputs(got, f);
      fclose(f);
    }
    char *want = read_text(golden);
    if (!want || strcmp(want, got)) {
      fprintf(stderr, "%s: expected\n%s\ngot\n%s\n", path, want ? want : "(no file)", got);
      wrong++;
    }
    free(got);
    free(want);
  }
  assert_true(found.gl_pathc > 40);
  globfree(&found);
  assert_int_equal(wrong, 0);
}

TEST(missing_file_is_named) {
  char *text;
  Arena *a = arena_new();
  size_t size;
  FILE *diag = open_memstream(&text, &size);
  FrontendOptions opt = {.diag = diag};
  assert_null(frontend_compile(a, "no/such/file.net", &opt, NULL));
  fclose(diag);
  assert_non_null(strstr(text, "no/such/file.net: error: cannot read the file: No such file"));
  free(text);
  arena_free(a);
}

RUN_TESTS(NULL, NULL)
