/* series.h - DICOM series: a folder whose files are the slices of one volume. */
#ifndef NETRUN_SERIES_H
#define NETRUN_SERIES_H
#include <stdbool.h>

bool named_dicom(const char *name); /* by its ending: .dcm, .dicom */
/* Is the file DICOM by its name (.dcm) or its bytes 128..131 ("DICM")? */
bool is_dicom(const char *path);
/* Does the folder itself hold DICOM files? */
bool is_series(const char *dir);
#endif
