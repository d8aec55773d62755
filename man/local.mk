# SPDX-License-Identifier: MIT
#
# man/local.mk - the manual pages, mdoc written by hand.  amalloc.3 describes every function of
# amalloc.h; each of the others gets a page that only points to it.

MAN_PAGES =
dist_man_MANS += $(MAN_PAGES)
