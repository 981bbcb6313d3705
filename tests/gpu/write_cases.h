/* write_cases.h - see cases.c. */
#ifndef TESTS_GPU_WRITE_CASES_H
#define TESTS_GPU_WRITE_CASES_H
#include "codegen/module/module.h"

/* A launch of every kernel of m, emitted for a GPU and with its codes named (module_codes), or only of those
 * on tensor cores; false and a message. */
bool write_cases(const Module *m, const char *path, double tolerance, bool tensor, char err[IR_ERR]);
#endif
