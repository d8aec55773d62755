# SPDX-License-Identifier: MIT
#
# tools/local.mk - the programs: alloc-stats (bin) and arena-preload (sbin, static).  Each lists its
# files in a local.mk of its own.

# In the tarball whatever is configured; a list inside a condition would not be.
EXTRA_DIST += \
	man/arena-preload.8.in \
	tools/alloc-stats/completion/alloc-stats.bash \
	tools/arena-preload/arena-preload.bash-completion \
	tools/arena-preload/arena-preload-booted.service.in \
	tools/arena-preload/arena-preload-trial.service.in \
	tools/arena-preload/initramfs/hook.in \
	tools/arena-preload/initramfs/local-bottom \
	tools/gdb/libarena-gdb.py

if TOOLS
include $(srcdir)/tools/arena-preload/local.mk
include $(srcdir)/tools/gdb/local.mk
if ALLOC_STATS
include $(srcdir)/tools/alloc-stats/local.mk
endif
endif
