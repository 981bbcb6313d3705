/* field.c - the table of batch fields as the runtime sees it. */
#include "runtime/base/field.h"

enum { PICTURE = false, MASK = true, BY_HOST = false, BY_DEVICE = true };
const BatchFieldInfo batch_field[BATCH_FIELDS] = {
#define FIELD(name, word, type, element, content, maker, draw)                                               \
  [NETC_FIELD_##name] = {content, maker, DRAW_##draw},
#include "ir/fields.def"
#undef FIELD
};
