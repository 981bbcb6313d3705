/* file.h - whole files in, whole files out. */
#ifndef NETRUN_FILE_H
#define NETRUN_FILE_H
#include <stddef.h>
#include <stdio.h>
#include "runtime/base/err.h"

typedef struct {
  const uint8_t *data;
  size_t size;
} Bytes;

/* Read-only; an empty file gives size 0. */
bool file_map(const char *path, Bytes *out, char err[ERR_MAX]);
void file_unmap(Bytes *b);

/* A file that appears under its name only when it is complete: written under PATH.tmp in the same directory,
 * synced, renamed, and the directory synced. Write errors are kept by `file` and reported by atomic_commit.
 */
typedef struct {
  FILE *file;
  char *path, *tmp;
} AtomicFile;
bool atomic_open(AtomicFile *f, const char *path, char err[ERR_MAX]);
bool atomic_commit(AtomicFile *f,
                   char err[ERR_MAX]); /* on failure the temporary file is gone and PATH untouched */
void atomic_abort(AtomicFile *f);

/* $TMPDIR, or /tmp. */
const char *temporary_directory(void);
/* A file without a name there, empty, for reading and writing; -1 and a message on failure. */
int temporary_file(char err[ERR_MAX]);
/* Takes the blocks of an open file before they are written: a write to a mapped file that finds the disk full
 * would be no error, but the end of the process (SIGBUS). false with errno. */
bool file_reserve(int fd, int64_t first, int64_t bytes);

/* mkdir -p */
bool make_dirs(const char *path, char err[ERR_MAX]);
bool file_exists(const char *path);
/* Could `bytes` of data come out of this file, compressed by deflate at its best (1032 : 1)?
 * Headers that promise more are damaged; asked before memory is taken for them. */
bool file_could_hold(const char *path, double bytes);
/* "DIR/NAME", to be freed; NULL only without memory. */
char *path_join(const char *dir, const char *name);
#endif
