/* write_cases.h - see cases.c. */
#ifndef TESTS_GPU_WRITE_CASES_H
#define TESTS_GPU_WRITE_CASES_H
#include "codegen/module.h"

/* All launches of m, emitted for a GPU and with its codes named (module_codes); false and a message. */
bool write_cases(const Module *m, const char *path, double tolerance, char err[512]);
#endif
