/* prepare.h - what a module says of its images' preparation (codegen/abi.h, NetcPrepare): checked, told. */
#ifndef NETRUN_PREPARE_H
#define NETRUN_PREPARE_H
#include <stdbool.h>
#include <stdio.h>
#include "codegen/abi.h"
#include "runtime/base/err.h"

/* The words of ir/prepare.def, by the enums of codegen/abi.h; "?" beyond them. */
const char *prepare_spacing_word(int32_t kind);
const char *prepare_order_word(int32_t kind);
const char *prepare_plane_word(int32_t kind);
const char *prepare_crop_word(int32_t kind);
const char *prepare_intensity_word(int32_t kind);
const char *prepare_weight_word(int32_t kind);
const char *prepare_post_word(uint32_t bit); /* NETC_POST_ */

/* Nothing in d->prepare that a host could trip over: choices known, numbers in range, no table missing. */
bool prepare_check(const NetcModule *d, char err[ERR_MAX]);
/* The settings, one a line, indented, in the language's words. p: NULL prints nothing. */
void prepare_tell(const NetcPrepare *p, int spatial, FILE *out);
#endif
