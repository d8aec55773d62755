# SPDX-License-Identifier: MIT
#
# tools/local.mk - the programs: alloc-stats (bin) and arena-preload (sbin, static).
# Everything here stands inside `if TOOLS`.

if TOOLS
endif
