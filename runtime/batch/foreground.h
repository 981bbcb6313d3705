/* foreground.h - places of foreground in masks, kept for items that are drawn again and again. */
#ifndef NETRUN_FOREGROUND_H
#define NETRUN_FOREGROUND_H
#include "runtime/batch/draw.h"

/* Of each class that a mask has (not of 0, the background, nor of CLASS_IGNORE) some elements, spread evenly
 * over all that it has. */
typedef struct Foreground Foreground;
/* How many elements each of `items` indices may have: FOREGROUND_MOST, where there are many items fewer, so
 * that all together take 256 MiB at most (and 1 KiB each is allowed always). */
enum { FOREGROUND_MOST = 16384 };
int64_t foreground_most(int64_t items);
/* At most `most` elements in all, in equal parts for the classes. NULL: no memory. A mask without foreground,
 * or none (mask NULL), has an index that is empty. */
Foreground *foreground_new(const uint8_t *mask, int64_t n, int64_t most);
/* Draws a class of those that are there, then an element of it; -1: there is none. */
int64_t foreground_draw(const Foreground *f, const Chance *d);
#endif
