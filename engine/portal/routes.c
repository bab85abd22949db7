/* Every group of pages, once. */
#include "portal/route.h"

extern const struct route plain_routes[], signin_routes[];

const struct route *const route_groups[] = { plain_routes, signin_routes, NULL };
