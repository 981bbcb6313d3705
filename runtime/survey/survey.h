/* survey.h - a whole data set read once: what there is, and what would stop a training.
 *
 *   Survey s;
 *   const SurveyOptions how = {.recipe = &recipe};
 *   if (!survey_run("folder", "/data/liver", &how, &s, err)) ..
 *   survey_print(&s, stdout);
 *   if (s.stops) ..
 *   survey_free(&s); */
#ifndef NETRUN_SURVEY_H
#define NETRUN_SURVEY_H
#include <stdio.h>
#include "runtime/find/find.h"
#include "runtime/prepare/prepare.h"

typedef enum {
#define COMPLAINT(name, text) SAY_##name,
#include "runtime/survey/complaints.def"
#undef COMPLAINT
  COMPLAINTS
} ComplaintKind;

typedef struct {
  const char *kind; /* a name of complaints.def or of runtime/find/oddities.def */
  bool stops;       /* training would end with it */
  char *text;       /* begins with the file, below the data set's folder */
} Complaint;

typedef struct {
  Complaint *list;
  int n, room;
} Complaints;

typedef struct {
  double value;
  int64_t elements;
  int images; /* masks that have it */
} LabelCount;

enum { LABELS_COUNTED = 512 }; /* more distinct values than a mask has: it is an image */

/* What was read of one item. */
typedef struct {
  bool read;     /* its image could be read; the fields below hold */
  bool has_mask; /* and its mask */
  int spatial, channels;
  int64_t dim[3], mask_dim[3];
  double spacing[3];
  bool placed;
  char orientation[4];
  double lo, hi; /* least and greatest value; of headers alone 0 */
  uint64_t hash; /* of extents and values */
  LabelCount *label;
  int nlabel;
  Complaints complaints;
} Surveyed;

typedef enum { SURVEY_TRAIN, SURVEY_VAL, SURVEY_TEST, SURVEY_OUT, SURVEY_SPLITS } SurveySplit;

typedef struct {
  char *name;            /* as --data names it */
  int spatial, channels; /* of the module, 0 without one */
  int64_t classes;
  Found found;
  Surveyed *item;     /* found.n */
  SurveySplit *split; /* of every item; NULL: not known, as training could not open the data set */
  int cases, masks;   /* how many cases; how many masks were read */
  int partial;        /* cases whose masks tell some classes only (partial.list) */
  bool values;        /* values were read, not headers alone */
  LabelCount label[LABELS_COUNTED];
  int nlabel;
  Complaints complaints; /* all, in the order of the items */
  int stops;             /* how many of them stop */
} Survey;

typedef struct {
  const Recipe *recipe; /* how training would prepare the images */
  const char *case_by;
  bool fast; /* headers alone */
  int threads;
  FILE *progress; /* NULL: none */
  /* Of a module; 0 without one: any number of channels and classes fits then, and volumes are 3-D. */
  int spatial, channels;
  int64_t classes;
} SurveyOptions;

/* False and a message when there is nothing to survey; what is wrong with files is told by complaints. */
bool survey_run(const char *name, const char *root, const SurveyOptions *o, Survey *out, char err[ERR_MAX]);
void survey_free(Survey *s);
void survey_print(const Survey *s, FILE *out);
/* One object, as docs/cli.md describes it. */
bool survey_json(const Survey *s, const char *path, char err[ERR_MAX]);

__attribute__((format(printf, 4, 5))) void complain(Complaints *c, const char *kind, bool stops,
                                                    const char *fmt, ...);
extern const char *const complaint_name[COMPLAINTS];
/* Least, middle and greatest of what `of` says of the items that were read; false: none was. */
typedef double (*SurveyNumber)(const Surveyed *it, int axis);
bool survey_spread(const Survey *s, SurveyNumber of, int axis, double spread[3]);
double survey_extent(const Surveyed *it, int axis);
double survey_spacing(const Surveyed *it, int axis);
/* "RAS 18, LPS 2, not said 1". Returns out. */
char *survey_orientations(const Survey *s, char *out, size_t room);
extern const char *const survey_split_name[SURVEY_SPLITS];
#endif
