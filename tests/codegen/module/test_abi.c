/* test_abi.c - codegen/abi.h does not change without its version: a module compiled before would be read by
 * structs that it was not written with. */
#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include "codegen/abi.h"
#include "tests/test.h"
#include "tests/text.h"

/* What the header declares: without comments, blanks, and the line of the version itself. */
static void declarations(char *text) {
  char *to = text;
  for (const char *at = text; *at;) {
    bool comment = !strncmp(at, "/*", 2), version = !strncmp(at, "#define NETC_ABI_VERSION", 24);
    if (comment) at = strstr(at, "*/") + 2;
    else if (version) at += strcspn(at, "\n");
    else if (isspace((unsigned char)*at)) at++;
    else *to++ = *at++;
  }
  *to = 0;
}

static uint64_t fnv(const char *s) {
  uint64_t h = 14695981039346656037u;
  for (; *s; s++) h = (h ^ (uint8_t)*s) * 1099511628211u;
  return h;
}

TEST(the_version_changes_with_the_declarations) {
  static const struct {
    unsigned version;
    uint64_t declared;
  } known = {8, 0x2987c8182f645a66};
  char *text = read_text("codegen/abi.h");
  assert_non_null(text);
  declarations(text);
  uint64_t now = fnv(text);
  free(text);
  if (now == known.declared && NETC_ABI_VERSION == known.version) return;
  fail_msg(
      "codegen/abi.h declares 0x%016llx, version %u was 0x%016llx: unless main has that version only in this "
      "change, raise NETC_ABI_VERSION, then note both numbers here",
      (unsigned long long)now, known.version, (unsigned long long)known.declared);
}

RUN_TESTS(NULL, NULL)
