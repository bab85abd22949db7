/*
 * edge.h - cases at the edges of what may come, all valid, each named by its request id.
 */
#ifndef SAMPLE_EDGE_H
#define SAMPLE_EDGE_H

#include "sample/build.h"

#define EDGES 48

/* Case `which`, below EDGES. Its request id is `edge-NN-what-it-is-about`. */
void edge_make(struct build *b, struct arena *a, uint64_t seed, uint64_t which, uint64_t serial);

#endif
