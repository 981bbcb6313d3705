/* info.h - a module's contents as JSON or for people. */
#ifndef NETRUN_INFO_H
#define NETRUN_INFO_H
#include <stdio.h>
#include "load.h"

bool info_json(const Module *m, FILE *out); /* false without memory */
void info_text(const Module *m, FILE *out);
#endif
