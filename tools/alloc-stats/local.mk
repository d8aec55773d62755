# SPDX-License-Identifier: MIT
#
# alloc-stats: reads the memory of running processes.  It includes the library's headers for the
# layout of what it reads and links none of its objects.  Included by tools/local.mk.

bin_PROGRAMS += tools/alloc-stats/alloc-stats

tools_alloc_stats_alloc_stats_SOURCES = \
	tools/alloc-stats/util.h \
	tools/alloc-stats/util.c \
	tools/alloc-stats/target.h \
	tools/alloc-stats/target.c \
	tools/alloc-stats/live.c \
	tools/alloc-stats/snapshot.h \
	tools/alloc-stats/core.c \
	tools/alloc-stats/roots.c \
	tools/alloc-stats/snapshot.c \
	tools/alloc-stats/chunks.c \
	tools/alloc-stats/metadata.c \
	tools/alloc-stats/residence.c \
	tools/alloc-stats/show.h \
	tools/alloc-stats/verdict.c \
	tools/alloc-stats/text.c \
	tools/alloc-stats/json.c \
	tools/alloc-stats/plain.c \
	tools/alloc-stats/openmetrics.c \
	tools/alloc-stats/diff.c \
	tools/alloc-stats/map.c \
	tools/alloc-stats/watch.h \
	tools/alloc-stats/watch.c \
	tools/alloc-stats/top.h \
	tools/alloc-stats/top.c \
	tools/alloc-stats/trim.h \
	tools/alloc-stats/trim.c \
	tools/alloc-stats/now.c \
	tools/alloc-stats/configuration.h \
	tools/alloc-stats/config.c \
	tools/alloc-stats/plot.c \
	tools/alloc-stats/run.h \
	tools/alloc-stats/run.c \
	tools/alloc-stats/main.c
# From its own directory it finds the library, also when the whole installation was moved.
tools_alloc_stats_alloc_stats_CPPFLAGS = $(AM_CPPFLAGS) -D_GNU_SOURCE -I$(srcdir)/src \
	-DALLOC_STATS_LIBDIR='"$(libdir)"' \
	-DALLOC_STATS_LIBDIR_FROM_BINDIR="\"../`echo '$(libdir)' | $(SED) 's|^$(exec_prefix)/||'`\""
tools_alloc_stats_alloc_stats_CFLAGS = $(AM_CFLAGS) $(STATS_CFLAGS)
tools_alloc_stats_alloc_stats_LDADD = $(STATS_LIBS) -lm

dist_man_MANS += man/alloc-stats.1

bashcompletiondir = $(datadir)/bash-completion/completions
zshcompletiondir = $(datadir)/zsh/site-functions
dist_zshcompletion_DATA = tools/alloc-stats/completion/_alloc-stats
nodist_bashcompletion_DATA = tools/alloc-stats/completion/alloc-stats
CLEANFILES += $(nodist_bashcompletion_DATA)
# bash-completion looks for a file with the command's own name.
tools/alloc-stats/completion/alloc-stats: tools/alloc-stats/completion/alloc-stats.bash
	$(AM_V_GEN)$(MKDIR_P) $(@D) && cp $(srcdir)/tools/alloc-stats/completion/alloc-stats.bash $@
