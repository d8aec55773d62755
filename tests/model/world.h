/* SPDX-License-Identifier: MIT
 *
 * world.h - what scenarios ask of world.c.
 */
#ifndef TESTS_MODEL_WORLD_H
#define TESTS_MODEL_WORLD_H

#include "heap.h"

/* From now on new mappings lie outside of the first window of the page map. */
extern bool world_maps_far;
/* The rounds of TSD destructors of the thread that has H. */
void world_thread_end(struct heap *h);

#endif
