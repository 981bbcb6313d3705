/* validate.h - what a program says of how its runs validate (`train NAME (validate = 500, ..)`,
 * docs/language.md). The compiler checks it and hands it on to the module: codegen/abi.h, NetcValidation. */
#ifndef NETC_VALIDATE_H
#define NETC_VALIDATE_H
#include <stdio.h>
#include "ir/ir.h"

/* By which weights are chosen. */
typedef enum {
#define METRIC(name, column, made) BEST_##name,
#include "ir/metrics.def"
#undef METRIC
  BEST_KINDS,
  BEST_NONE = BEST_KINDS /* no weights are kept as the best */
} BestKind;

typedef struct {
  const char *name, *column;
  bool tolerance; /* it needs one, which runs are not given: no weights are chosen by it */
} BestInfo;
extern const BestInfo best_info[BEST_KINDS];
/* By name or column, in small letters or capitals; BEST_KINDS: there is none. */
BestKind best_named(const char *word);

typedef struct Validation {
  int64_t every; /* iterations from one validation to the next; 0: only if the run asks for it */
  BestKind best;
  /* training cases that validate where the data set has none for it, "20%" or "12"; NULL: as the run says */
  const char *val;
} Validation;

/* Is it a part of the training cases: "20%", above 0 and below 100, or a whole number from 1? */
bool val_part_ok(const char *how);
/* Numbers in range, and a function predict, whose results are scored. */
bool validation_verify(const Program *prog, const Validation *v, char err[IR_ERR]);

/* The text form (docs/ir.md). */
void validation_print(FILE *out, const Validation *v);
#endif
