/* text_header.h - headers that are lines of text, and the files of voxels they name. */
#ifndef NETRUN_TEXT_HEADER_H
#define NETRUN_TEXT_HEADER_H
#include "runtime/base/file.h"

typedef struct {
  const char *path;
  Bytes bytes;
  size_t at; /* the next byte: behind the last line, where data may begin */
  char *line;
} TextHeader;

bool text_open(TextHeader *h, const char *path, char err[ERR_MAX]);
void text_close(TextHeader *h);
/* The next line, without its end (LF or CR LF) and without blanks around it, good until the next; NULL: there
 * is none, or none shorter than 64 KiB. */
char *text_line(TextHeader *h);

/* Cuts "name SEPARATOR value" in two, blanks around both dropped; NULL: it has no separator. Returns the
 * value. */
char *text_cut(char *line, const char *separator);
/* The next number or word of *at, apart by blanks, commas or parentheses; false at the end or where there is
 * no number. */
bool text_number(char **at, double *out);
char *text_word(char **at);

/* Names of files, found from the folder of the header. */
typedef struct {
  char **name;
  int n;
} FileList;
void file_list_free(FileList *f);
bool file_list_add(FileList *f, const char *header, const char *name, char err[ERR_MAX]);
/* What a header says of its data: a name; "LIST", the names being the header's next lines; or a pattern,
 * "%03d.raw FIRST LAST STEP". */
bool file_list_parse(FileList *f, TextHeader *h, char *value, char err[ERR_MAX]);
#endif
