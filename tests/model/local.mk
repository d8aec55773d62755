# SPDX-License-Identifier: MIT
#
# tests/model/local.mk - interleavings: every one of small scenarios, and random ones of large loads.

# Both build the library's sources once more, with steps at their atomics, and need gcc.
MODEL_TESTS = tests/model/model.sh tests/model/stress.sh
EXTRA_DIST += $(MODEL_TESTS) tests/model/core-files tests/model/points.h tests/model/explore.h tests/model/explore.c \
	tests/model/world.h tests/model/world.c tests/model/small.h tests/model/scenarios.c \
	tests/model/mutants tests/model/yield.c tests/model/stress.c
if OVERRIDE
TESTS += $(MODEL_TESTS)
endif

# The same under sequential consistency too, and minutes of stress from STRESS_SEED on.
STRESS_SECONDS = 60
STRESS_SEED = 1
model:
	MODEL_SC=1 $(BASH_PROG) $(srcdir)/tests/model/model.sh
stress:
	for i in 0 1 2; do YIELD_SEED=$$(($(STRESS_SEED) + i)) \
	  $(BASH_PROG) $(srcdir)/tests/model/stress.sh $(STRESS_SECONDS) || exit 1; done
