# SPDX-License-Identifier: MIT
#
# man/local.mk - the manual pages, mdoc written by hand.  A function of amalloc.h that has no page of
# its own gets one that only points to the page that describes it.

MAN_PAGES = \
	man/amalloc.3 \
	man/amalloc_stats.3 \
	man/amalloc_usable_size.3 \
	man/arena_create.3 \
	man/arena.conf.5 \
	man/libarena.7
dist_man_MANS += $(MAN_PAGES)

AMALLOC_LINKS = \
	man/links/aaligned_alloc.3 man/links/acalloc.3 man/links/acfree.3 man/links/afree.3 \
	man/links/afree_aligned_sized.3 man/links/afree_sized.3 man/links/amemalign.3 \
	man/links/aposix_memalign.3 man/links/apvalloc.3 man/links/arealloc.3 \
	man/links/areallocarray.3 man/links/avalloc.3
STATS_LINKS = \
	man/links/amallinfo2.3 man/links/amalloc_info.3 man/links/amalloc_stats_print.3 \
	man/links/amalloc_trim.3 man/links/amalloc_version.3 man/links/amallopt.3
USABLE_LINKS = man/links/amalloc_good_size.3
ARENA_LINKS = \
	man/links/arena_calloc.3 man/links/arena_destroy.3 man/links/arena_live.3 \
	man/links/arena_malloc.3 man/links/arena_memalign.3 man/links/arena_of.3
MAN_LINKS = $(AMALLOC_LINKS) $(STATS_LINKS) $(USABLE_LINKS) $(ARENA_LINKS)
nodist_man_MANS += $(MAN_LINKS)
CLEANFILES += $(MAN_LINKS)

LINK_TO = $(AM_V_GEN)$(MKDIR_P) man/links && printf '.so man3/%s.3\n' >$@
$(AMALLOC_LINKS):
	$(LINK_TO) amalloc
$(STATS_LINKS):
	$(LINK_TO) amalloc_stats
$(USABLE_LINKS):
	$(LINK_TO) amalloc_usable_size
$(ARENA_LINKS):
	$(LINK_TO) arena_create

# Their tests, and those of the other documents; a sanitizer's build has nothing new to say to them.
MAN_TESTS = \
	tests/man/lint.sh \
	tests/man/functions.sh \
	tests/man/options.sh \
	tests/man/examples.sh \
	tests/man/walks.sh \
	tests/man/map.sh
EXTRA_DIST += $(MAN_TESTS) tests/man/security.sh tests/man/attacks.c tests/man/calls.c
if !SANITIZER
TESTS += $(MAN_TESTS)
endif
if OVERRIDE
TESTS += tests/man/security.sh
endif
