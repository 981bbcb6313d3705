/* lzf.h - the LZF filter of HDF5, which h5py writes and the library does not bring along. */
#ifndef NETRUN_LZF_H
#define NETRUN_LZF_H
#include <stddef.h>
#include <stdint.h>

/* Decompresses LZF; the number of bytes made, 0 where they do not fit into `room` or the input is damaged. */
size_t lzf_decode(const uint8_t *in, size_t size, uint8_t *out, size_t room);
/* Registers the filter, number 32000, with the HDF5 library. */
void lzf_register(void);
#endif
