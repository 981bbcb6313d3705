/* nifti.h - small NIfTI files, written by hand. */
#ifndef NETC_TEST_NIFTI_H
#define NETC_TEST_NIFTI_H
#include <nifti1.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* A volume of bytes, x fastest: RAS, mm between neighbours along each axis, voxel 0 at (shift, 0, 0). */
static inline void nifti_file(const char *path, const int dim[3], const float mm[3], float shift,
                              const uint8_t *value) {
  nifti_1_header h;
  memset(&h, 0, sizeof h);
  h.sizeof_hdr = 348, h.dim[0] = 3, h.dim[4] = h.dim[5] = h.dim[6] = h.dim[7] = 1;
  h.datatype = DT_UINT8, h.bitpix = 8, h.vox_offset = 352, h.sform_code = 1;
  float *const row[3] = {h.srow_x, h.srow_y, h.srow_z};
  for (int a = 0; a < 3; a++) h.dim[a + 1] = (short)dim[a], h.pixdim[a + 1] = row[a][a] = mm[a];
  h.srow_x[3] = shift;
  memcpy(h.magic, "n+1", 4);
  FILE *f = fopen(path, "wb");
  assert_non_null(f);
  assert_int_equal(fwrite(&h, sizeof h, 1, f), 1);
  assert_int_equal(fwrite("\0\0\0\0", 1, 4, f), 4); /* no extensions */
  size_t n = (size_t)(dim[0] * dim[1] * dim[2]);
  assert_int_equal(fwrite(value, 1, n, f), n);
  assert_int_equal(fclose(f), 0);
}
#endif
