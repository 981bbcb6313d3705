/* nifti_header.c - the bytes of NIfTI headers. */
#include "runtime/io/volume/nifti_header.h"
#include <nifti2_io.h>
#include <string.h>
#include "runtime/io/volume/stream.h"

/* Fields that both versions have under the same names. */
#define EACH_SHARED_FIELD                                                                                    \
  FIELD(datatype, datatype)                                                                                  \
  FIELD(vox_offset, vox_offset)                                                                              \
  FIELD(scl_slope, scl_slope)                                                                                \
  FIELD(scl_inter, scl_inter)                                                                                \
  FIELD(xyzt_units, xyzt_units)                                                                              \
  FIELD(qform_code, qform_code)                                                                              \
  FIELD(sform_code, sform_code)                                                                              \
  FIELD(quatern[0], quatern_b)                                                                               \
  FIELD(quatern[1], quatern_c)                                                                               \
  FIELD(quatern[2], quatern_d)                                                                               \
  FIELD(qoffset[0], qoffset_x)                                                                               \
  FIELD(qoffset[1], qoffset_y)                                                                               \
  FIELD(qoffset[2], qoffset_z)

static void take1(NiftiHeader *h, const nifti_1_header *from) {
#define FIELD(ours, theirs) h->ours = from->theirs;
  EACH_SHARED_FIELD
#undef FIELD
  for (int i = 0; i < 8; i++) h->dim[i] = from->dim[i], h->pixdim[i] = (double)from->pixdim[i];
  for (int c = 0; c < 4; c++) {
    h->srow[0][c] = (double)from->srow_x[c], h->srow[1][c] = (double)from->srow_y[c];
    h->srow[2][c] = (double)from->srow_z[c];
  }
}

static void take2(NiftiHeader *h, const nifti_2_header *from) {
#define FIELD(ours, theirs) h->ours = (__typeof__(h->ours))from->theirs;
  EACH_SHARED_FIELD
#undef FIELD
  for (int i = 0; i < 8; i++) h->dim[i] = from->dim[i], h->pixdim[i] = from->pixdim[i];
  memcpy(h->srow[0], from->srow_x, sizeof h->srow[0]), memcpy(h->srow[1], from->srow_y, sizeof h->srow[1]);
  memcpy(h->srow[2], from->srow_z, sizeof h->srow[2]);
}

static bool parse1(const char *path, void *bytes, NiftiHeader *h, char err[ERR_MAX]) {
  nifti_1_header *n = bytes;
  if (h->swapped) nifti_swap_as_nifti1(n);
  h->pair = !memcmp(n->magic, "ni1", 4);
  if (!h->pair && memcmp(n->magic, "n+1", 4))
    return err_set(err,
                   "%s: an ANALYZE 7.5 header, or a damaged one: it lacks NIfTI's magic number; convert "
                   "it to NIfTI",
                   path);
  take1(h, n);
  return true;
}

static bool parse2(const char *path, void *bytes, NiftiHeader *h, char err[ERR_MAX]) {
  nifti_2_header *n = bytes;
  if (h->swapped) nifti_swap_as_nifti2(n);
  h->pair = !memcmp(n->magic, "ni2", 4);
  if ((!h->pair && memcmp(n->magic, "n+2", 4)) || memcmp(n->magic + 4, "\r\n\032\n", 4))
    return err_set(err, "%s: damaged: the magic number of NIfTI-2 is wrong", path);
  take2(h, n);
  return true;
}

/* How long the header says it is, in either byte order; 0: no header. */
static int length_of(const void *bytes, bool *swapped) {
  uint32_t n;
  memcpy(&n, bytes, sizeof n);
  *swapped = n != 348 && n != 540;
  if (*swapped) n = __builtin_bswap32(n);
  return n == 348 || n == 540 ? (int)n : 0;
}

bool nifti_header_read(const char *path, NiftiHeader *out, char err[ERR_MAX]) {
  union {
    nifti_1_header one;
    nifti_2_header two;
  } bytes;
  Stream s;
  int64_t got = 0, more = 0;
  *out = (NiftiHeader){.version = 1};
  if (!stream_open(&s, path, 0, STREAM_AS_FOUND, err)) return false;
  bool ok = stream_read(&s, &bytes, sizeof bytes.one, &got, err);
  int length = ok && got > 4 ? length_of(&bytes, &out->swapped) : 0;
  if (ok && got < (int64_t)sizeof bytes.one && (length || got < 5))
    ok = err_set(err, "%s: the file has %lld bytes; a NIfTI header has %d", path, (long long)got,
                 length ? length : (int)sizeof bytes.one);
  else if (ok && !length) ok = err_set(err, "%s: not a NIfTI file: it does not begin as one", path);
  if (ok && length == sizeof bytes.two) {
    int64_t rest = (int64_t)(sizeof bytes.two - sizeof bytes.one);
    out->version = 2;
    ok = stream_read(&s, (char *)&bytes + sizeof bytes.one, rest, &more, err) &&
         (more == rest || err_set(err, "%s: the file has %lld bytes; a NIfTI-2 header has 540", path,
                                  (long long)(got + more)));
  }
  stream_close(&s);
  ok = ok && (out->version == 2 ? parse2 : parse1)(path, &bytes, out, err);
  if (ok && (out->dim[0] < 1 || out->dim[0] > 7))
    ok = err_set(err, "%s: damaged: dim[0], the number of axes, is %lld", path, (long long)out->dim[0]);
  return ok;
}

/* ---- writing ---- */

static void write1(Sink *sink, const NiftiHeader *h) {
  nifti_1_header n = {.sizeof_hdr = sizeof n, .magic = "n+1"};
#define FIELD(ours, theirs) n.theirs = (__typeof__(n.theirs))h->ours;
  EACH_SHARED_FIELD
#undef FIELD
  int bytes = 0, swap = 0;
  nifti_datatype_sizes(h->datatype, &bytes, &swap);
  n.bitpix = (short)(8 * bytes), n.regular = 'r', n.vox_offset = sizeof n + 4;
  for (int i = 0; i < 8; i++) n.dim[i] = (short)h->dim[i], n.pixdim[i] = (float)h->pixdim[i];
  for (int c = 0; c < 4; c++) {
    n.srow_x[c] = (float)h->srow[0][c], n.srow_y[c] = (float)h->srow[1][c];
    n.srow_z[c] = (float)h->srow[2][c];
  }
  sink_write(sink, &n, sizeof n);
}

static void write2(Sink *sink, const NiftiHeader *h) {
  nifti_2_header n = {.sizeof_hdr = sizeof n, .magic = {'n', '+', '2', 0, '\r', '\n', 032, '\n'}};
#define FIELD(ours, theirs) n.theirs = (__typeof__(n.theirs))h->ours;
  EACH_SHARED_FIELD
#undef FIELD
  int bytes = 0, swap = 0;
  nifti_datatype_sizes(h->datatype, &bytes, &swap);
  n.bitpix = (short)(8 * bytes), n.vox_offset = sizeof n + 4;
  for (int i = 0; i < 8; i++) n.dim[i] = h->dim[i], n.pixdim[i] = h->pixdim[i];
  memcpy(n.srow_x, h->srow[0], sizeof n.srow_x), memcpy(n.srow_y, h->srow[1], sizeof n.srow_y);
  memcpy(n.srow_z, h->srow[2], sizeof n.srow_z);
  sink_write(sink, &n, sizeof n);
}

void nifti_header_write(Sink *sink, const NiftiHeader *h) {
  bool large = false;
  for (int i = 1; i < 8; i++) large = large || h->dim[i] > INT16_MAX;
  (large ? write2 : write1)(sink, h);
  sink_write(sink, "\0\0\0", 4); /* no extensions */
}
