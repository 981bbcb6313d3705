/* dybac.h - DyBAC on tensor cores: contractions whose operand is a depthwise result that is computed on the
 * way, in runs (runs.h). What is said of shapes here is all that decides between these kernels and the plain
 * ones. */
#ifndef NETC_TC_DYBAC_H
#define NETC_TC_DYBAC_H
#include "codegen/emit/tensor_core/runs.h"
#include "codegen/emit/tensor_core/tensor_core.h"

/* Does dybac, of depthwise shape d with cout channels of its result, go by tensor cores on this machine?
 * bf16: are operands rounded? */
bool tc_dybac_takes(const Emit *e, const DwShape *d, int64_t cout, bool bf16);
bool tc_dybac(Emit *e, const GroupInfo *g, const DwShape *d);

/* Does conv_dw `nd`, whose input is depthwise result d, go by tensor cores on this machine? */
bool tc_dybac_wgrad_takes(const Emit *e, const Node *nd, const DwShape *d);
bool tc_dybac_wgrad(Emit *e, const GroupInfo *g, const DwShape *d);
#endif
