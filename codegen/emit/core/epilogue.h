/* epilogue.h - what a contraction's launch must know of the elementwise nodes behind it, whatever its
 * algorithm: their arguments, and whether they care where a pixel lies. expr_epilogue (emit.h)
 * computes and stores them. */
#ifndef NETC_EPILOGUE_H
#define NETC_EPILOGUE_H
#include "codegen/emit/core/box.h"

/* Declares what the epilogue reads and writes, and counts its bytes: all arguments of a launch but the
 * contraction's operands, which are declared before. The result may take over the memory of an operand. */
void epilogue_args(Build *b, const GroupInfo *g);
/* May elements be numbered anew along axes `first` and following, channels apart, as if these were one axis?
 * Each operand of the epilogue then has all of these axes or none, and no node asks for coordinates (iota,
 * rand). */
bool epilogue_renumbers(const Fn *f, const GroupInfo *g, int first);
#endif
