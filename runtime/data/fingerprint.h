/* fingerprint.h - what preparation takes from the training set: the median spacing, and the intensities of
 * the foreground (as nnU-Net measures them: at most 10,000 foreground voxels of each case, evenly spread). */
#ifndef NETRUN_FINGERPRINT_H
#define NETRUN_FINGERPRINT_H
#include "runtime/data/data.h"

/* Of the cases that train and validate, so that all folds of a data set have one fingerprint; foreground
 * of those that are labelled. Reads headers, and voxels only where `foreground` is wanted. Volumes whose
 * slices lie in different planes are an error. */
bool fingerprint_measure(const Dataset *d, bool foreground, Fingerprint *out, char err[ERR_MAX]);
#endif
