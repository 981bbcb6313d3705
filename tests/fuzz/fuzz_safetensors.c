/* fuzz_safetensors.c - any bytes are a .safetensors file or an error; what is accepted lies inside the
 * bytes. */
#include <stdlib.h>
#include "runtime/io/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char err[ERR_MAX];
  StFile *f = st_parse(data, size, "fuzz", err);
  volatile unsigned sum = 0; /* every byte is read */
  for (int i = 0; f && i < f->ntensor; i++) {
    const StTensor *t = &f->tensor[i];
    const uint8_t *p = t->data;
    for (uint64_t k = 0; k < t->end - t->begin; k++) sum = sum + p[k];
    if (st_find(f, t->name) == NULL) abort();
  }
  for (int i = 0; f && i < f->nmeta; i++)
    if (!st_meta(f, f->meta[i].key)) abort();
  st_close(f);
  return 0;
}
