/*
 * demo.h - plain invented images for throw-away data (`trien keys dev`): a seal of two rings and a
 * star, and a handwriting squiggle. Nothing here resembles a real seal.
 */
#ifndef TRIEN_CATALOGUE_DEMO_H
#define TRIEN_CATALOGUE_DEMO_H

#include "base/status.h"

/*
 * Writes the PBM (P4) files that the agencies and signers of the schemas folder `dir` name and that
 * are missing: the code seeds the drawing, so the same code gives the same bytes. Existing files
 * stay. Cold path; ST_IO with the path in *e.
 */
enum status catalogue_demo_images(const char *dir, struct error *e) must_use;

#endif
