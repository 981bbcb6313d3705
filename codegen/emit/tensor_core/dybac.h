/* dybac.h - DyBAC on tensor cores: contractions whose operand is a depthwise result that is computed on the way, in runs (runs.h). What
 * is said of shapes here is all that decides between these kernels and the plain ones. */
#ifndef NETC_DW_TC_H
#define NETC_DW_TC_H
#include "codegen/emit/tensor_core/runs.h"
#include "codegen/emit/tensor_core/tensor_core.h"

/* Does dwpw, of depthwise shape d with cout channels of its result, go by tensor cores on this machine? bf16: are operands rounded? */
bool dwpw_tc_takes(const Emit *e, const DwShape *d, int64_t cout, bool bf16);
bool emit_dwpw_tc(Emit *e, const GroupInfo *g, const DwShape *d);

/* Does conv_dw `nd`, whose input is depthwise result d, go by tensor cores on this machine? */
bool conv_dw_input_tc_takes(const Emit *e, const Node *nd, const DwShape *d);
bool emit_conv_dw_input_tc(Emit *e, const GroupInfo *g, const DwShape *d);
#endif
