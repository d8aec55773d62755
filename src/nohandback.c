/* SPDX-License-Identifier: MIT
 *
 * nohandback.c - in place of handback.c where libc's malloc is not replaced.  Layer override.
 */
#include "foreign.h"

const bool arn_foreign_replaces = false;

const struct foreign_calls *arn_foreign_libc(void)
{
	return NULL;
}
