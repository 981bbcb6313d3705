/* plugin.c - finds and opens plug-ins. */
#include "runtime/base/plugin.h"
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_ROOM = 4096 };

/* Opens FOLDER/FILE; false where there is none, or one that cannot be opened, whose error is kept. */
static void *open_in(const char *folder, int length, const char *file, char why[ERR_MAX]) {
  char path[PATH_ROOM];
  if (length <= 0 || snprintf(path, sizeof path, "%.*s/%s", length, folder, file) >= (int)sizeof path ||
      access(path, F_OK))
    return NULL;
  void *plugin = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!plugin && !*why) err_set(why, "%s", dlerror());
  return plugin;
}

static void *open_in_list(const char *folders, const char *file, char why[ERR_MAX]) {
  void *plugin = NULL;
  while (folders && *folders && !plugin) {
    size_t n = strcspn(folders, ":");
    plugin = open_in(folders, (int)n, file, why);
    folders += n + (folders[n] == ':');
  }
  return plugin;
}

/* The executable's folder, or "". */
static void own_folder(char out[PATH_ROOM]) {
  ssize_t n = readlink("/proc/self/exe", out, PATH_ROOM - 1);
  out[n > 0 ? n : 0] = 0;
  char *slash = strrchr(out, '/');
  if (slash) *slash = 0;
}

void *plugin_symbol(const char *file, const char *symbol, const char *wanted, const char *remedy,
                    char err[ERR_MAX]) {
  char own[PATH_ROOM], lib[PATH_ROOM + 8], why[ERR_MAX] = "";
  own_folder(own);
  snprintf(lib, sizeof lib, "%s/../lib", own);
  void *plugin = open_in_list(getenv("NETRUN_PLUGINS"), file, why);
  if (!plugin) plugin = open_in(own, (int)strlen(own), file, why);
  if (!plugin) plugin = open_in(lib, (int)strlen(lib), file, why);
  if (!plugin) plugin = open_in(NETC_LIBDIR, (int)strlen(NETC_LIBDIR), file, why);
  void *found = plugin ? dlsym(plugin, symbol) : NULL;
  if (found) return found;
  if (plugin) err_set(why, "it has no %s", symbol);
  if (*why) err_set(err, "%s needs the plug-in %s, which cannot be opened: %s", wanted, file, why);
  else
    err_set(err, "%s needs the plug-in %s, which is neither in $NETRUN_PLUGINS nor in %s nor in %s: %s",
            wanted, file, own, NETC_LIBDIR, remedy);
  return NULL;
}
