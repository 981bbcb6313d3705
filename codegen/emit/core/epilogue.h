/* epilogue.h - what a contraction's launch must know of the elementwise nodes behind it, whatever its algorithm: their
 * arguments, and whether they care where a pixel lies. Their values are expr_epilogue (emit.h). */
#ifndef NETC_EPILOGUE_H
#define NETC_EPILOGUE_H
#include "codegen/emit/core/box.h"

/* Declares what the epilogue reads and writes, and counts its bytes: all arguments of a launch but the contraction's
 * operands, which are declared before. The result may take over the memory of an operand. */
void epilogue_args(Build *b, const GroupInfo *g);
/* Is the epilogue's value at an element the same function of what lies there in memory wherever that is along axes
 * `first` and following, channels apart? Each of its operands then has all of these axes or none, and the elements may be
 * numbered anew along them. */
bool epilogue_renumbers(const Fn *f, const GroupInfo *g, int first);
#endif
