/* interp.h - the reference interpreter: runs any function of the graph IR, slowly and plainly. It is the
 * oracle of every test. Values are kept as double; with INTERP_F32 every result is rounded to float after
 * each op, with INTERP_F64 it is not (finite differences). Reductions accumulate in double in both.
 *
 * A node of type bf16 is rounded to bf16 besides, and a contraction with bf16=1 rounds its operands
 * (INTERP_F32 only): that is where compiled code rounds, too.
 *
 * All arrays are in row-major order of the logical shape, whatever Node.order says.
 *
 *   Interp *in = interp_new(fn, INTERP_F32);
 *   interp_bind(in, "x", data);               // double[type_count], copied; inputs and variables by name
 *   interp_step(in, seed, iteration);         // what `rand` sees
 *   if (!interp_run(in, err)) ...
 *   const double *y = interp_value(in, node); // valid until the next run
 *   interp_free(in); */
#ifndef NETC_INTERP_H
#define NETC_INTERP_H
#include "ir/ir.h"

typedef enum { INTERP_F32, INTERP_F64 } InterpMode;
typedef struct Interp Interp;

Interp *interp_new(const Fn *f, InterpMode mode);
void interp_free(Interp *in);
/* false when the function has neither an input nor a variable of that name. */
bool interp_bind(Interp *in, const char *name, const double *data);
void interp_step(Interp *in, uint64_t seed, uint64_t iteration);
bool interp_run(Interp *in, char err[IR_ERR]);
const double *interp_value(const Interp *in, int node);
/* The data bound to an input or variable, or NULL; after interp_commit() the variable's new value. */
const double *interp_bound(const Interp *in, const char *name);
/* Run, then write the stored values into the bound variables, as one training step does. */
bool interp_commit(Interp *in, char err[IR_ERR]);

#endif
