/* tokens.h - characters to tokens, for who reads the text form of programs: parse.c and prepare_text.c.
 *
 * The first error stops the parser: `bad` is set, and every later call returns at once with an empty result,
 * so the code reads as if nothing could fail. */
#ifndef NETC_TOKENS_H
#define NETC_TOKENS_H
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "ir/text.h"

/* Names of a function's nodes: an open hash table from %name to id. */
typedef struct {
  const char *name; /* NULL = free */
  int id;
} Slot;

typedef struct {
  Arena *arena;
  Program *prog;
  const char *text, *at; /* at: next character */
  bool bad;
  char *err;
  Slot *slot;
  int nslot, used;
} Parser;

/* ---- errors, spaces ---- */

__attribute__((format(printf, 3, 4))) static inline void fail_at(Parser *p, const char *where,
                                                                 const char *fmt, ...) {
  if (p->bad) return;
  p->bad = true;
  int line = 1, col = 1;
  for (const char *s = p->text; s < where; s++) {
    col = *s == '\n' ? 1 : col + 1;
    line += *s == '\n';
  }
  ir_error(p->err, "%d:%d: ", line, col);
  va_list ap;
  va_start(ap, fmt);
  ir_verror_more(p->err, fmt, ap);
  va_end(ap);
}
#define FAIL(p, ...) fail_at((p), (p)->at, __VA_ARGS__)

static inline void skip_space(Parser *p) {
  for (;; p->at++) {
    if (*p->at == '#')
      while (*p->at && *p->at != '\n') p->at++;
    if (!isspace((unsigned char)*p->at)) return;
  }
}

/* ---- tokens ---- */

static inline bool accept(Parser *p, char c) {
  skip_space(p);
  if (p->bad || *p->at != c) return false;
  p->at++;
  return true;
}

static inline void expect(Parser *p, char c) {
  if (!accept(p, c)) FAIL(p, "expected '%c'", c);
}

static inline bool word_char(char c) { return isalnum((unsigned char)c) || c == '_' || c == '.'; }

/* Length of the word at the parser's place; 0 = there is none. */
static inline size_t word_length(Parser *p) {
  size_t n = 0;
  skip_space(p);
  if (p->bad || isdigit((unsigned char)*p->at)) return 0;
  while (word_char(p->at[n])) n++;
  return n;
}

static inline bool accept_word(Parser *p, const char *word) {
  size_t n = word_length(p);
  if (n != strlen(word) || strncmp(p->at, word, n)) return false;
  p->at += n;
  return true;
}

static inline void expect_word(Parser *p, const char *word) {
  if (!accept_word(p, word)) FAIL(p, "expected '%s'", word);
}

/* One of a NULL-ended list of words: its index. */
static inline int choice(Parser *p, const char *const *words, const char *what) {
  for (int i = 0; words[i]; i++)
    if (accept_word(p, words[i])) return i;
  FAIL(p, "expected %s: one of %s, %s, ..", what, words[0], words[1]);
  return 0;
}

static inline int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

static inline const char *string(Parser *p) {
  expect(p, '"');
  if (p->bad) return "";
  const char *end = p->at;
  while (*end && *end != '"' && *end != '\n') end += *end == '\\' && end[1] ? 2 : 1;
  char *s = arena_alloc(p->arena, (size_t)(end - p->at) + 1), *to = s;
  while (p->at < end) {
    if (*p->at != '\\') {
      *to++ = *p->at++;
    } else if (p->at[1] == 'x' && hex_digit(p->at[2]) >= 0 && hex_digit(p->at[3]) >= 0) {
      *to++ = (char)(hex_digit(p->at[2]) * 16 + hex_digit(p->at[3]));
      p->at += 4;
    } else if (p->at[1] == '"' || p->at[1] == '\\') {
      *to++ = p->at[1];
      p->at += 2;
    } else {
      FAIL(p, "unknown escape in a string; \\\", \\\\ and \\xHH are known");
      return "";
    }
  }
  if (*p->at != '"') FAIL(p, "the string is not closed");
  else p->at++;
  return s;
}

static inline int64_t integer(Parser *p, int64_t lo, int64_t hi) {
  skip_space(p);
  if (p->bad) return 0;
  char *end = (char *)p->at;
  errno = 0;
  long long v = 0;
  if (isdigit((unsigned char)*p->at) || *p->at == '-') v = strtoll(p->at, &end, 10);
  if (end == p->at) FAIL(p, "expected an integer");
  else if (errno || v < lo || v > hi)
    FAIL(p, "the integer must lie in %lld .. %lld", (long long)lo, (long long)hi);
  if (p->bad) return 0;
  p->at = end;
  return v;
}

static inline double number(Parser *p) {
  skip_space(p);
  if (p->bad) return 0;
  char *end = (char *)p->at;
  double v = 0;
  if (*p->at && strchr("+-.0123456789in", *p->at)) v = strtod(p->at, &end); /* i, n: inf, nan */
  if (end == p->at) FAIL(p, "expected a number");
  p->at = end;
  return v;
}

/* [a,b,..]: at most `max` integers; returns how many. */
static inline int integers(Parser *p, int64_t *list, int max, int64_t lo, int64_t hi) {
  int n = 0;
  expect(p, '[');
  if (accept(p, ']')) return 0;
  do {
    if (n == max) FAIL(p, "at most %d entries are possible here", max);
    if (p->bad) return 0;
    list[n++] = integer(p, lo, hi);
  } while (accept(p, ','));
  expect(p, ']');
  return n;
}

void prepare_parse(Parser *p);    /* behind the word `prepare`; prepare_text.c */
void validation_parse(Parser *p); /* behind the word `validate`; validate.c */
#endif
