/* nifti.c - NIfTI volumes through their own library. */
#include <math.h>
#include <nifti1_io.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "runtime/base/file.h"
#include "runtime/io/format.h"

static bool nifti_element(const nifti_image *image, int64_t i, float *out) {
  const void *d = image->data;
  switch (image->datatype) {
  case DT_UINT8: *out = ((const uint8_t *)d)[i]; break;
  case DT_INT8: *out = ((const int8_t *)d)[i]; break;
  case DT_INT16: *out = ((const int16_t *)d)[i]; break;
  case DT_UINT16: *out = ((const uint16_t *)d)[i]; break;
  case DT_INT32: *out = (float)((const int32_t *)d)[i]; break;
  case DT_UINT32: *out = (float)((const uint32_t *)d)[i]; break;
  case DT_INT64: *out = (float)((const int64_t *)d)[i]; break;
  case DT_FLOAT32: *out = ((const float *)d)[i]; break;
  case DT_FLOAT64: *out = (float)((const double *)d)[i]; break;
  default: return false;
  }
  if (image->scl_slope != 0) *out = (float)(image->scl_slope * (double)*out + image->scl_inter);
  return true;
}

/* NIfTI stores x innermost; the volume wants z innermost. */
static bool nifti_values(const nifti_image *image, Image *out) {
  int64_t nx = out->grid.dim[0], ny = out->grid.dim[1], nz = out->grid.dim[2];
  for (int64_t z = 0, i = 0; z < nz; z++)
    for (int64_t y = 0; y < ny; y++)
      for (int64_t x = 0; x < nx; x++, i++)
        if (!nifti_element(image, i, &out->value[(x * ny + y) * nz + z])) return false;
  return true;
}

static Grid grid_of(const nifti_image *image) {
  const double step[3] = {image->dx, image->dy, image->dz};
  double mm[3];
  for (int a = 0; a < 3; a++) mm[a] = step[a] > 0 && isfinite(step[a]) ? step[a] : 1;
  Grid g = grid_plain((int64_t[]){image->nx, image->ny, image->nz}, mm);
  const mat44 *m = image->sform_code > 0 ? &image->sto_xyz : image->qform_code > 0 ? &image->qto_xyz : NULL;
  g.placed = m != NULL;
  for (int r = 0; m && r < 3; r++)
    for (int c = 0; c < 4; c++) g.to_mm[r][c] = (double)m->m[r][c];
  return g;
}

static bool read_nifti(const char *path, const Wish *wish, Image *out, char err[ERR_MAX]) {
  *out = (Image){.spatial = 3, .channels = 1};
  if (access(path, R_OK)) return err_sys(err, "%s", path);
  nifti_set_debug_level(0);
  nifti_image *image = nifti_image_read(path, 0);
  if (!image) return err_set(err, "%s: not a NIfTI file", path);
  bool ok = false;
  int64_t n = (int64_t)image->nx * image->ny * image->nz;
  out->grid = grid_of(image);
  if (n <= 0 || n > VOLUME_MAX_ELEMENTS || image->nvox != (size_t)n) /* nvox: the product of all seven axes */
    err_set(err, "%s: expected one volume of three axes, found %d axes of %d x %d x %d x %d..", path,
            image->ndim, image->nx, image->ny, image->nz, image->nt);
  else if (wish->header) ok = true;
  else if (!file_could_hold(path, (double)n * image->nbyper) || nifti_image_load(image))
    err_set(err, "%s: the file ends before its %lld voxels do, or is damaged", path, (long long)n);
  else if (image_alloc(out, path, err)) {
    ok = nifti_values(image, out);
    if (!ok)
      err_set(err, "%s: voxels of type %s are not supported", path, nifti_datatype_string(image->datatype));
  }
  nifti_image_free(image);
  if (!ok) image_free(out);
  return ok;
}

static bool write_nifti(const char *path, const char *like, const Written *what, char err[ERR_MAX]) {
  const int64_t *dim = what->grid.dim;
  const int nd[8] = {3, (int)dim[0], (int)dim[1], (int)dim[2], 1, 1, 1, 1};
  nifti_set_debug_level(0);
  nifti_image *geometry = like && format_of(like) == &format_nifti ? nifti_image_read(like, 0) : NULL;
  nifti_image *image = nifti_make_new_nim(nd, DT_UINT8, 1);
  char temp[4096];
  bool gz = strlen(path) > 3 && !strcmp(path + strlen(path) - 3, ".gz");
  bool ok = image && snprintf(temp, sizeof temp, "%s.part.nii%s", path, gz ? ".gz" : "") < (int)sizeof temp;
  if (ok && geometry) {
    image->dx = image->pixdim[1] = geometry->dx, image->dy = image->pixdim[2] = geometry->dy;
    image->dz = image->pixdim[3] = geometry->dz, image->xyz_units = geometry->xyz_units;
    image->qform_code = geometry->qform_code, image->sform_code = geometry->sform_code;
    image->qto_xyz = geometry->qto_xyz, image->sto_xyz = geometry->sto_xyz;
    image->quatern_b = geometry->quatern_b, image->quatern_c = geometry->quatern_c,
    image->quatern_d = geometry->quatern_d;
    image->qoffset_x = geometry->qoffset_x, image->qoffset_y = geometry->qoffset_y,
    image->qoffset_z = geometry->qoffset_z;
    image->qfac = geometry->qfac;
  }
  if (ok) {
    uint8_t *d = image->data;
    for (int64_t z = 0, i = 0; z < dim[2]; z++)
      for (int64_t y = 0; y < dim[1]; y++)
        for (int64_t x = 0; x < dim[0]; x++, i++) d[i] = what->mask[(x * dim[1] + y) * dim[2] + z];
    /* nifticlib does not report failed writes: the file's arrival is checked by reading its header back. */
    ok = !nifti_set_filenames(image, temp, 0, 1);
    if (ok) nifti_image_write(image);
    nifti_image *back = ok ? nifti_image_read(temp, 1) : NULL;
    ok = back && back->nvox == image->nvox && !memcmp(back->data, image->data, image->nvox) &&
         !rename(temp, path);
    if (back) nifti_image_free(back);
    if (!ok) unlink(temp);
  }
  if (!ok) err_set(err, "%s: cannot write the mask (no space, or no permission?)", path);
  if (image) nifti_image_free(image);
  if (geometry) nifti_image_free(geometry);
  return ok;
}

const Format format_nifti = {.name = "NIfTI",
                             .ending = {".nii.gz", ".nii"},
                             .holds = HOLDS_VOLUME,
                             .read = read_nifti,
                             .write = write_nifti};
