#!/bin/bash
# SPDX-License-Identifier: MIT
#
# git.sh - git makes, packs, clones and checks a repository under libarena (packing uses threads);
# commit names are the same as without, so every byte of every object is.

. "$(dirname "$0")/lib.sh"
need git awk
cd "$scratch" || exit 99
export HOME=$scratch GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b
export GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
export GIT_AUTHOR_DATE='1700000000 +0000' GIT_COMMITTER_DATE='1700000000 +0000'

# history DIRECTORY RUNNER...: 12 commits of 40 files that change here and there.
history() {
	directory=$1
	shift
	"$@" git init -q -b main "$directory" || return
	for commit in $(seq 12); do
		awk -v c="$commit" -v d="$directory" 'BEGIN {
			for (f = 0; f < 40; f++) {
				name = d "/file" f
				for (l = 0; l < 200; l++)
					print f, l, (l * f % 25 < c ? c * l : l) > name
				close(name)
			}
		}'
		"$@" git -C "$directory" add . && "$@" git -C "$directory" commit -q -m "c $commit" || return
	done
}

history plain env 2>err
row $? "git makes 12 commits without libarena"
history ours ours 2>err
row $? "git makes 12 commits under libarena"
[ "$(git -C plain rev-parse main)" = "$(git -C ours rev-parse main)" ]
row $? "the commit names are the same"
ours git -C ours -c pack.threads=4 gc -q --aggressive --prune=now 2>err
row $? "git gc --aggressive with four threads"
ours git clone -q --no-local ours cloned 2>err
row $? "git clone"
ours git -C cloned fsck --full --strict >out 2>err
row $? "git fsck of the clone"
git -C plain log -p --stat main >log.plain && ours git -C cloned log -p --stat main >log.ours 2>err &&
	cmp log.plain log.ours
row $? "git log -p says the same"
ours git -C cloned blame file7 >out 2>err && ours git -C cloned grep -c 1 >/dev/null 2>err
row $? "git blame and git grep"
proved git
done_testing
