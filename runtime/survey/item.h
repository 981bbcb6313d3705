/* item.h - one item of a survey. */
#ifndef NETRUN_SURVEY_ITEM_H
#define NETRUN_SURVEY_ITEM_H
#include "runtime/survey/survey.h"

/* Reads the item's files; everything it meets becomes a field or a complaint. Any number of threads may
 * survey different items. */
void survey_item(const FoundItem *it, const SurveyOptions *o, Surveyed *out);
#endif
