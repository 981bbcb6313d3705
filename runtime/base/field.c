/* field.c - the table of batch fields as the runtime sees it. */
#include "runtime/base/field.h"

enum { PICTURE, MASK, REGIONS, BY_HOST = false, BY_DEVICE = true };
const BatchFieldInfo batch_field[BATCH_FIELDS] = {
#define FIELD(name, word, type, element, content, maker, draw)                                               \
  [NETC_FIELD_##name] = {(content) != PICTURE, (content) == REGIONS, maker, DRAW_##draw},
#include "ir/fields.def"
#undef FIELD
};
