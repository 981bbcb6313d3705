/* notes.h - oddities met while files are read: they stop nothing, and are told in the end.
 *
 *   Notes notes = {0};
 *   note(&notes, "%s: 3 bytes behind the image are left out", path);      // notes NULL: dropped
 *   notes_print(&notes, stderr);  notes_free(&notes);
 *
 * Equal texts are kept once. Any number of threads may add. */
#ifndef NETRUN_NOTES_H
#define NETRUN_NOTES_H
#include <pthread.h>
#include <stdio.h>

enum { NOTES_SHOWN = 20 }; /* what commands print of them */

typedef struct {
  char **text; /* in the order they came */
  int n, room;
  pthread_mutex_t lock;
} Notes;

void notes_init(Notes *n);
void notes_free(Notes *n);
__attribute__((format(printf, 2, 3))) void note(Notes *n, const char *format, ...);
/* A line each, those from `from` on; returns how many there are. At most `most` lines, then how many more. */
int notes_print(const Notes *n, int from, int most, FILE *out);
#endif
