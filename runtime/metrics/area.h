/* area.h - how much surface passes between neighbouring elements of a mask.
 *
 * The corner where four elements meet in 2-D, eight in 3-D, has a code: bit 2i+j (4i+2j+k) says whether the
 * element (i,j) (i,j,k) of the neighbourhood belongs to the mask, axis 0 first. Where the elements differ,
 * a piece of the surface lies there, whose length or area depends on the code and the spacing. */
#ifndef NETRUN_AREA_H
#define NETRUN_AREA_H

enum { AREA_CODES = 256 };

/* area[code] of the 16 codes in 2-D (lengths) or the 256 in 3-D; spacing has `spatial` entries. The table of
 * DeepMind's surface-distance (Nikolov et al., "Clinically applicable segmentation of head and neck anatomy
 * for radiotherapy", JMIR 2021), which comes from marching cubes (Lorensen and Cline, 1987). */
void surface_area_table(int spatial, const double *spacing, double area[AREA_CODES]);
#endif
