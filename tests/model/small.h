/* SPDX-License-Identifier: MIT
 *
 * small.h - a small page map for the model: memory that an execution puts back costs time.
 */
#include "tuning.h"
#undef WINDOW_FIRST
#define WINDOW_FIRST (4 * MIB)
