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
static bool nifti_values(const nifti_image *image, Volume *out) {
  int64_t nx = out->dim[0], ny = out->dim[1], nz = out->dim[2];
  for (int64_t z = 0, i = 0; z < nz; z++)
    for (int64_t y = 0; y < ny; y++)
      for (int64_t x = 0; x < nx; x++, i++)
        if (!nifti_element(image, i, &out->value[(x * ny + y) * nz + z])) return false;
  return true;
}

static bool read_nifti(const char *path, const char *set, Volume *out, char err[ERR_MAX]) {
  (void)set;
  *out = (Volume){.spacing = {1, 1, 1}};
  if (access(path, R_OK)) return err_sys(err, "%s", path);
  nifti_set_debug_level(0);
  nifti_image *image = nifti_image_read(path, 0);
  if (!image) return err_set(err, "%s: not a NIfTI file", path);
  bool ok = false;
  int64_t n = (int64_t)image->nx * image->ny * image->nz;
  if (n <= 0 || n > VOLUME_MAX_ELEMENTS || image->nvox != (size_t)n) /* nvox: the product of all seven axes */
    err_set(err, "%s: expected one volume of three axes, found %d axes of %d x %d x %d x %d..", path,
            image->ndim, image->nx, image->ny, image->nz, image->nt);
  else if (!file_could_hold(path, (double)n * image->nbyper) || nifti_image_load(image))
    err_set(err, "%s: the file ends before its %lld voxels do, or is damaged", path, (long long)n);
  else if (!(out->value = malloc((size_t)n * sizeof *out->value)))
    err_set(err, "%s: not enough memory for %lld voxels", path, (long long)n);
  else {
    const double step[3] = {image->dx, image->dy, image->dz};
    out->dim[0] = image->nx, out->dim[1] = image->ny, out->dim[2] = image->nz;
    for (int a = 0; a < 3; a++) out->spacing[a] = step[a] > 0 && isfinite(step[a]) ? step[a] : 1;
    ok = nifti_values(image, out);
    if (!ok)
      err_set(err, "%s: voxels of type %s are not supported", path, nifti_datatype_string(image->datatype));
  }
  nifti_image_free(image);
  if (!ok) volume_free(out);
  return ok;
}

static bool write_nifti(const char *path, const char *like, const uint8_t *mask, const int64_t *dim,
                        char err[ERR_MAX]) {
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
        for (int64_t x = 0; x < dim[0]; x++, i++) d[i] = mask[(x * dim[1] + y) * dim[2] + z];
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

static bool read_header(const char *path, const char *set, Volume *out, char err[ERR_MAX]) {
  (void)set;
  nifti_set_debug_level(0);
  nifti_image *image = nifti_image_read(path, 0);
  *out = (Volume){.spacing = {1, 1, 1}};
  if (!image) return err_set(err, "%s: not a readable volume (damaged, cut short, or another format)", path);
  out->dim[0] = image->nx, out->dim[1] = image->ny, out->dim[2] = image->nz;
  nifti_image_free(image);
  return true;
}

const Format format_nifti = {.name = "NIfTI",
                             .ending = {".nii.gz", ".nii"},
                             .holds = HOLDS_VOLUME,
                             .header = read_header,
                             .read = read_nifti,
                             .write = write_nifti};
