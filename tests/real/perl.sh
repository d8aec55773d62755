#!/bin/bash
# SPDX-License-Identifier: MIT
#
# perl.sh - a perl program of strings, hashes, sorting, regular expressions and fork; its output
# under libarena is the same as without.

. "$(dirname "$0")/lib.sh"
need perl

cat >"$scratch/program.pl" <<'END'
use strict; use warnings;
my ($seed, %count, @lines, %tree) = (42);
sub rnd { $seed = ($seed * 1103515245 + 12345) % 2147483648; return $seed % $_[0]; }
for my $i (1 .. 25000) {
	my $word = join '', map { chr(97 + rnd(26)) } 1 .. 1 + rnd(12);
	$count{$word}++;
	push @lines, "$i $word " . 'x' x rnd(200);
	$tree{substr $word, 0, 1}{length $word}{$word} = [$i, $word x rnd(5)];
	delete $tree{chr(97 + rnd(26))}{rnd(12)} if $i % 100 == 0;
}
for my $round (1 .. 5) {
	@lines = sort { length $a <=> length $b or $a cmp $b } @lines;
	s/(x{10,20})/length $1/e for @lines;
	@lines = map { my $l = $_; $l =~ tr/a-m/n-z/; reverse split //, $l } @lines[0 .. $#lines / 2];
	@lines = ((join '', @lines) =~ /(.{1,77})/g);
}
print scalar(@lines), "\n", join("\n", map { "$_ $count{$_}" } (sort keys %count)[0 .. 2000]), "\n";
print "$_ ", join(',', map { "$_:" . keys %{$tree{$a = $_}} } sort keys %tree), "\n" for 1;
my @pids;
for my $k (1 .. 4) {
	my $pid = fork // die;
	if (!$pid) { my %h = map { $_ => [$_] } 1 .. 50000; exit(keys(%h) == 50000 ? 0 : 1); }
	push @pids, $pid;
}
for (@pids) { waitpid $_, 0; print "child $?\n"; }
END
perl "$scratch/program.pl" >"$scratch/plain.out" 2>"$scratch/err"
row $? "perl runs the program without libarena"
ours env PERL_DESTRUCT_LEVEL=2 perl "$scratch/program.pl" >"$scratch/ours.out" 2>"$scratch/err"
row $? "perl runs the program under libarena"
[ -s "$scratch/plain.out" ] && cmp "$scratch/plain.out" "$scratch/ours.out"
row $? "with the same output"
proved perl
done_testing
