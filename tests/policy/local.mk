# SPDX-License-Identifier: MIT
#
# tests/policy/local.mk - arena.conf: they read its effects by alloc-stats --config.

POLICY_TESTS = \
	tests/policy/conf.py \
	tests/policy/handback.py
EXTRA_DIST += $(POLICY_TESTS) tests/policy/patched.py tests/policy/family.c \
	tests/policy/brought.c tests/fuzz/policy.c tests/fuzz/policy.dict
if ALLOC_STATS
TESTS += $(POLICY_TESTS)
endif
