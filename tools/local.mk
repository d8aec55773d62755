# SPDX-License-Identifier: MIT
#
# tools/local.mk - the programs: alloc-stats (bin) and arena-preload (sbin, static).  Each lists its
# files in a local.mk of its own.

if TOOLS
include $(srcdir)/tools/arena-preload/local.mk
dist_man_MANS += man/arena-preload.8
include $(srcdir)/tools/gdb/local.mk
if ALLOC_STATS
include $(srcdir)/tools/alloc-stats/local.mk
endif
endif
