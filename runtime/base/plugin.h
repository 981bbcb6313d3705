/* plugin.h - parts of netrun that are opened when they are needed, because their libraries are large. */
#ifndef NETRUN_PLUGIN_H
#define NETRUN_PLUGIN_H
#include "runtime/base/err.h"

/* `symbol` of the plug-in `file` ("netc_dicom.so"), which is looked for in the folders of $NETRUN_PLUGINS
 * (a:b), beside the executable, in ../lib from there, and in the installation's library folder. NULL and a
 * message that says why: `wanted` begins it ("a.dcm: DICOM"), `remedy` says how to get it. The plug-in stays
 * open. */
void *plugin_symbol(const char *file, const char *symbol, const char *wanted, const char *remedy,
                    char err[ERR_MAX]);
#endif
