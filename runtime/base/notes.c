/* notes.c - a list of sentences that several threads add to. */
#include "runtime/base/notes.h"
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include "runtime/base/err.h"

void notes_init(Notes *n) {
  *n = (Notes){.text = NULL};
  pthread_mutex_init(&n->lock, NULL);
}

void notes_free(Notes *n) {
  for (int i = 0; i < n->n; i++) free(n->text[i]);
  free(n->text);
  pthread_mutex_destroy(&n->lock);
}

static bool known(const Notes *n, const char *text) {
  for (int i = 0; i < n->n; i++)
    if (!strcmp(n->text[i], text)) return true;
  return false;
}

static void add(Notes *n, const char *text) {
  if (known(n, text)) return;
  if (n->n == n->room) {
    int room = n->room ? 2 * n->room : 16;
    char **more = realloc(n->text, (size_t)room * sizeof *more);
    if (!more) return;
    n->text = more, n->room = room;
  }
  char *copy = strdup(text);
  if (copy) n->text[n->n++] = copy;
}

void note(Notes *n, const char *format, ...) {
  char text[ERR_MAX];
  va_list args;
  if (!n) return;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  pthread_mutex_lock(&n->lock);
  add(n, text);
  pthread_mutex_unlock(&n->lock);
}

int notes_print(const Notes *n, int from, int most, FILE *out) {
  for (int i = from; i < n->n && i - from < most; i++) fprintf(out, "note: %s\n", n->text[i]);
  if (n->n - from > most) fprintf(out, "note: .. and %d more\n", n->n - from - most);
  return n->n;
}
