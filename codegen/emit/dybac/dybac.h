/* dybac.h - the DyBAC layer's forward pass, gate, depthwise and pointwise convolution, in one kernel
 * (direct.c). */
#ifndef NETC_DYBAC_H
#define NETC_DYBAC_H
#include "codegen/emit/depthwise/row.h"

/* Shape of the depthwise convolution of a G_DYBAC group. false and a message when the group is none that the
 * kernels, these and those for tensor cores, are written for. */
bool dybac_shape(Emit *e, const GroupInfo *g, DwShape *d);
/* G_DYBAC by vectors: for every machine. */
bool dybac_direct(Emit *e, const GroupInfo *g, const DwShape *d);
#endif
