/* wgmma.h - products by four warps, as the emulator's threads call them (wgmma.c). */
#ifndef NETC_EMULATE_WGMMA_H
#define NETC_EMULATE_WGMMA_H
#include "codegen/emulator/threads.h"

uint64_t emulate_matrix(void *thread, int32_t ins, int32_t buffer, int64_t at, int64_t form);
void emulate_wgmma(void *thread, int32_t ins, int32_t bf16, float *sum, const uint32_t *a, uint64_t a_matrix,
                   uint64_t b_matrix);
void emulate_order(void *thread, int32_t ins, int32_t op); /* proxy_fence, wgmma_fence, wgmma_wait */
/* Products that the thread's warp has not waited for. */
bool emulate_unfinished(const Thread *t);
void emulate_clear(Warpgroup *q);
#endif
