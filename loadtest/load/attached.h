/*
 * attached.h - the original in a certified copy, as this engine writes copies. Pure.
 */
#ifndef LOAD_ATTACHED_H
#define LOAD_ATTACHED_H

#include "base/bytes.h"

/* Its bytes, within the file; empty: none is attached, or more than one. */
struct slice attached_original(struct slice file);

#endif
