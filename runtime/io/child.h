/* child.h - reading a file in a child process. Libraries that crash on damaged files must not take a long
 * training run with them: a child that dies is a damaged file. */
#ifndef NETRUN_CHILD_H
#define NETRUN_CHILD_H
#include "runtime/io/format.h"

/* The signature of Format.read. It runs in the child and need not release anything but what `out` owns. */
typedef bool (*ReadFile)(const char *path, const Wish *wish, Image *out, char err[ERR_MAX]);

/* Runs `read` in a child process; its image, its notes and its message become the caller's. library: who is
 * blamed when the child dies, "the HDF5 library". Any number of threads may call it at once. */
bool read_in_child(ReadFile read, const char *library, const char *path, const Wish *wish, Image *out,
                   char err[ERR_MAX]);
/* In the child: which file it is about to read, where `path` is a folder; this one is blamed. */
void child_reads(const char *path);
#endif
