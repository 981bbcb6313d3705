/* cache.h - whole modules in the cache. What a module depends on: the compiler, the options that say what is
 * in it, and the text of every file that was read. The files are known only after a compile, so it leaves two
 * entries: the list of files, under the options and the text of the first, and the module, under the options
 * and all texts. */
#ifndef NETC_NETC_CACHE_H
#define NETC_NETC_CACHE_H
#include "frontend/frontend.h"
#include "codegen/codegen.h"

typedef struct {
  const char *input;
  const FrontendOptions *frontend;
  const CodegenOptions *codegen; /* its cache is not NULL */
} Request;

/* Puts the module in its place when the same was compiled before. false: it was not; or it cannot be written,
 * which a compile will report. */
bool module_from_cache(Arena *a, const Request *r);
/* After a compile that filled in codegen->image: `last` is the last file it read. */
void module_into_cache(const Request *r, const struct Source *last);
#endif
