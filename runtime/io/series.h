/* series.h - DICOM series: a folder whose files are the slices of one volume. */
#ifndef NETRUN_SERIES_H
#define NETRUN_SERIES_H
#include <stdbool.h>

bool named_dicom(const char *name); /* by its ending: .dcm, .dicom, .ima */
/* Is it a file that is DICOM by its bytes 128..131, "DICM"? */
bool is_dicom(const char *path);
/* Is it a folder that itself holds DICOM files? */
bool is_series(const char *dir);
#endif
