/* recipe.c - how images are prepared where a module does not say. */
#include "runtime/prepare/recipe.h"

const Recipe recipe_plain = {
    .orientation = "RAS", .plane = PLANE_THICK, .image_order = ORDER_CUBIC, .mask_order = ORDER_NEAREST};
