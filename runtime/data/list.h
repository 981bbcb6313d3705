/* list.h - lists of cases in text files: train.list, --labeled FILE.
 *
 * One case or image a line, as people and programs write them: UTF-8 with or without a byte order mark, any
 * line ends, blanks around, empty lines, comments from # on; a path with / or \ instead of a name, with an
 * ending in any case, or the first of several columns (, ; tab or blanks between), in quotes or not. */
#ifndef NETRUN_DATA_LIST_H
#define NETRUN_DATA_LIST_H
#include "runtime/data/data.h"

typedef struct {
  char *text; /* the line, without blanks around it and comments */
  int line;   /* counted from 1 */
} ListName;

typedef struct {
  char *path, *bytes;
  ListName *name;
  int n;
} List;

/* An error where it cannot be read, is no text in UTF-8, or names nothing. */
bool list_read(List *l, const char *path, char err[ERR_MAX]);
void list_free(List *l);

/* Calls `take` for every item that the list names, in its order, itself or through its case or its file; k:
 * which name it was. False as soon as `take` is. A name that fits nothing is an error, with the names nearest
 * to it; where the SplitPlan says so, such names are left out with a note, as long as others
 * fit. */
typedef bool (*ListTake)(void *user, const List *l, int k, int item, char err[ERR_MAX]);
bool list_apply(Dataset *d, const List *l, ListTake take, void *user, char err[ERR_MAX]);
#endif
