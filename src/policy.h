/* SPDX-License-Identifier: MIT
 *
 * policy.h - the administrator's configuration: arena.conf and arena.conf.d.  Layer api.
 */
#ifndef ARN_POLICY_H
#define ARN_POLICY_H

#include "options.h"

/* Which malloc serves the program, and why it is not the one that was asked for. */
enum policy_service {
	POLICY_UNDECIDED,
	POLICY_OURS,
	POLICY_LIBC,       /* enabled=no: handed back */
	POLICY_NOT_ASKED,  /* enabled=no, but this is libarena-prefixed, which is called by name */
	POLICY_IMPOSSIBLE, /* enabled=no, but there is no malloc of libc's to go to */
};

/* What a reader from outside wants to know; the root leads here. */
struct arn_policy {
	uint32_t service; /* enum policy_service */
	int32_t error;    /* of opening arena.conf: 0, or -errno; 1: not tried yet */
	uint32_t nfiles;  /* files of arena.conf.d that were read */
	uint32_t nwrong;  /* lines and files that were ignored because of a fault */
	const char *path; /* of arena.conf */
	const struct option_source *sources;
	uint32_t noptions;
};
extern struct arn_policy arn_policy;

/* Reads the files and sets the options that they set for this program.  Once; takes no lock and
 * allocates nothing; a file that is not there, broken or of a wrong kind changes nothing. */
void arn_policy_read(void);

#endif
