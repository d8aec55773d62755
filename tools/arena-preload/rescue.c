/* SPDX-License-Identifier: MIT
 *
 * arena-preload: rescue mode, "init=.../sbin/arena-preload" on the kernel's command
 * line.  Takes our entry out of the file on the disk and starts the real init, with
 * no question asked: there may be nobody at the console.
 */
#include "preload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void take_out(struct ap *a)
{
	struct ap_text old, rest;
	int err = ap_file_read(AP_FILE, &old);

	if (err || !ap_edit_has(&old, ap_match_ours, a)) {
		if (err)
			ap_warn_errno(err, "rescue: %s", AP_FILE);
		else
			ap_warn("rescue: %s has no entry of libarena", AP_FILE);
		ap_text_free(&old);
		return;
	}
	ap_edit_remove(&old, ap_match_ours, a, &rest);
	err = ap_store(a, &old, &rest);
	if (err)
		ap_warn_errno(err, "rescue: %s", AP_FILE);
	else
		ap_warn("rescue: libarena is taken out of %s (the old one is %s)", AP_FILE, AP_BACKUP);
	ap_text_free(&rest);
	ap_text_free(&old);
	ap_cmd_boot_good(a);
}

int ap_rescue(struct ap *a, char *const argv[])
{
	static const char *const inits[] = { "/sbin/init", "/lib/systemd/systemd", "/bin/sh" };
	bool was_read_only = ap_make_writable(a);

	take_out(a);
	/* as init expects to find it: it checks the file system before it writes */
	if (was_read_only)
		ap_make_read_only(a);
	else
		sync();
	for (size_t i = 0; i < sizeof(inits) / sizeof(*inits); i++) {
		char *args[64] = { (char *)inits[i] };

		/* the words the kernel did not know, "single" for example, are init's */
		for (size_t k = 1; k < 63 && argv[0] && argv[k]; k++)
			args[k] = argv[k];
		execv(inits[i], args);
		ap_warn_errno(errno, "rescue: %s", inits[i]);
	}
	/* PID 1 must not end: the kernel would panic and hide what was said above. */
	for (;;)
		pause();
}
