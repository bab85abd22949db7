/* Every group of pages, once. */
#include "portal/route.h"

extern const struct route api_routes[], lead_routes[], mine_routes[], plain_routes[],
	reads_routes[], report_routes[], result_routes[], seen_routes[], share_routes[],
	shown_routes[], signin_routes[], track_routes[], verify_routes[];

const struct route *const route_groups[] = { plain_routes, signin_routes, mine_routes,
	result_routes, report_routes, reads_routes, share_routes, shown_routes, seen_routes,
	verify_routes, track_routes, lead_routes, api_routes, NULL };
