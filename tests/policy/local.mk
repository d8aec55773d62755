# SPDX-License-Identifier: MIT
#
# tests/policy/local.mk - arena.conf: they read its effects by alloc-stats --config.

POLICY_TESTS = \
	tests/policy/conf.py \
	tests/policy/handback.py
EXTRA_DIST += $(POLICY_TESTS) tests/policy/patched.py tests/policy/family.c \
	tests/policy/brought.c
if ALLOC_STATS
TESTS += $(POLICY_TESTS)
endif
