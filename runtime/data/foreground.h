/* foreground.h - places of foreground in masks, kept for items that are drawn again and again. */
#ifndef NETRUN_FOREGROUND_H
#define NETRUN_FOREGROUND_H
#include "runtime/data/draw.h"

/* Of each class that a mask has (not of 0, the background, nor of 255, to be ignored) some elements, spread
 * evenly over all that it has: FOREGROUND_MOST in all, in equal parts. */
enum { FOREGROUND_MOST = 16384 };
typedef struct Foreground Foreground;
/* NULL: no memory. A mask without foreground, or none (mask NULL), has an index that is empty. */
Foreground *foreground_new(const uint8_t *mask, int64_t n);
/* Draws a class of those that are there, then an element of it; -1: there is none. */
int64_t foreground_draw(const Foreground *f, const Dice *d);
#endif
