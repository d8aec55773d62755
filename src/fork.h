/* SPDX-License-Identifier: MIT
 *
 * fork.h - what a forked child does before anything else.  Layer api.
 */
#ifndef ARN_FORK_H
#define ARN_FORK_H

void arn_fork_child(void);

#endif
