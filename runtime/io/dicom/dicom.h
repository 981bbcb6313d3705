/* dicom.h - what netrun asks of its plug-in for DICOM, and what becomes of the answers.
 *
 * The plug-in (netc_dicom.so, runtime/io/dicom/gdcm.cpp) knows the format and its compressions. It is C++,
 * and its library large: netrun opens it when it meets the first DICOM file. How slices make a volume is
 * decided on this side. */
#ifndef NETRUN_DICOM_H
#define NETRUN_DICOM_H
#include <stdbool.h>
#include "runtime/base/err.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { DICOM_ABI = 1, DICOM_TEXT = 68, DICOM_FRAMES = 1 << 16 };

/* A file. Texts are cut to their room; numbers that it does not state are 0. */
typedef struct {
  char sop_class[DICOM_TEXT], sop_instance[DICOM_TEXT], series[DICOM_TEXT], description[DICOM_TEXT];
  char modality[DICOM_TEXT], photometric[DICOM_TEXT];
  int rows, columns, frames; /* rows 0: no image (a report, a directory, ..) */
  int samples;               /* a pixel: 1, or 3: red, green, blue */
  int bits, stored;          /* a sample has: 8, 16 or 32; how many of them count, from the lowest */
  bool is_signed, lossy;
  int instance;     /* InstanceNumber */
  double thickness; /* mm from slice to slice, or a slice's own */
} DicomFile;

/* A slice of it, in the patient's coordinates: mm to the left, to the back, upwards. */
typedef struct {
  bool placed, oriented;
  double position[3];           /* of the first pixel's middle */
  double along_row[3], down[3]; /* unit vectors: from column to column, from row to row */
  double column_step, row_step; /* mm from column to column, from row to row */
  double slope, intercept;      /* value = slope * stored + intercept */
} DicomFrame;

typedef struct {
  int abi; /* DICOM_ABI */
  /* The header of a file and, where it holds an image, its frames, to be freed with free(). */
  bool (*header)(const char *path, DicomFile *file, DicomFrame **frame, char err[ERR_MAX]);
  /* The stored numbers of all frames, (frames, rows, columns, samples), to be freed with free(). Colours of
   * other models and palettes come as red, green, blue; bits, stored, is_signed become the result's. */
  bool (*pixels)(const char *path, DicomFile *file, void **out, char err[ERR_MAX]);
} DicomPlugin;

/* What the plug-in exports. */
__attribute__((visibility("default"))) const DicomPlugin *netc_dicom(void);

#ifdef __cplusplus
}
#endif
#endif
