# SPDX-License-Identifier: MIT
#
# machine.sh - sourced by probes: rows that change what a whole machine does (overcommit, control
# groups).  They run on a machine of their own: qemu boots Debian's kernel, any in /boot, with an
# initramfs of the probes, the library, a shell and what these need; PID 1 is the script below.
# One boot serves all rows of a library: some 10 seconds by software emulation, which works
# everywhere.  Skipped, aloud, without qemu-system-x86, a kernel or cpio.

# What PID 1 does.  Each row is "@@begin NAME", what the probe complains about, "@@NAME STATUS".
# BIN, the probes' directory, and PROBE_LIB come by the kernel's command line.
machine_init()
{
	cat <<'END'
#!/bin/sh
mount -t devtmpfs dev /dev
exec >/dev/ttyS0 2>&1 </dev/null
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t cgroup2 cgroup2 /group
echo +memory >/group/cgroup.subtree_control
mkdir /group/probe
probe() {
	name=$1
	shift
	echo "@@begin $name"
	if [ -n "$PROBE_LIB" ]; then
		LD_PRELOAD=$PROBE_LIB "$@"
	else
		"$@"
	fi
	echo "@@$name $?"
	echo 0 >/proc/sys/vm/overcommit_memory
}
# strict KIB: so much more may be committed than is now, in all.
strict() {
	while read -r key value unit; do
		[ "$key" != Committed_AS: ] || now=$value
	done </proc/meminfo
	echo $((now + $1)) >/proc/sys/vm/overcommit_kbytes
	echo 2 >/proc/sys/vm/overcommit_memory
}
# The shell moves itself into the group and becomes the probe: its text is never part of it.
grouped() { (echo 0 >/group/probe/cgroup.procs; exec "$@"); }

strict 98304
probe overcommit-limit "$BIN/limits" limited 48
strict 262144
probe overcommit-charge "$BIN/limits" charged
echo 150994944 >/group/probe/memory.max && probe cgroup-max grouped "$BIN/limits" phases
echo "@@end"
echo o >/proc/sysrq-trigger
read -r line </dev/ttyS0
END
}

# machine_boot: leaves what the rows say in $dir/machine.log, once.
machine_boot()
{
	local root=$dir/machine kernel k f

	[ ! -e "$dir/machine.log" ] || return 0
	[ "$(uname -m)" = x86_64 ] && command -v qemu-system-x86_64 cpio >/dev/null || return 77
	for k in /boot/vmlinuz-*; do
		[ ! -r "$k" ] || kernel=$k
	done
	[ -n "${kernel:-}" ] || return 77
	rm -rf "$root"
	mkdir -p "$root"/{proc,sys,dev,group,tmp}
	machine_init >"$root/init"
	chmod 755 "$root/init"
	# Everything at its own path, with the libraries that it names.
	for k in "$dir/limits" /bin/sh /bin/mount /bin/mkdir ${LIB:+"$LIB"}; do
		echo "$k"
		ldd "$k" | sed -n 's/.*[[:space:]]\(\/[^ ]*\) (.*/\1/p'
	done | sort -u | while read -r f; do
		mkdir -p "$root$(dirname "$f")"
		cp -L "$f" "$root$f"
	done
	(cd "$root" && find . | cpio -o -H newc 2>/dev/null | gzip -1) >"$dir/machine.gz" || return
	timeout -k 1 300 qemu-system-x86_64 -accel tcg -cpu max -m 768 -nographic -no-user-config \
	    -nic none -no-reboot -kernel "$kernel" -initrd "$dir/machine.gz" \
	    -append "console=ttyS0 quiet panic=-1 rdinit=/init PROBE_LIB=$LIB BIN=$dir" </dev/null \
	    >"$dir/machine.console" 2>&1
	rm -rf "$root" "$dir/machine.gz"
	tr -d '\r' <"$dir/machine.console" >"$dir/machine.log"
}

# machine ROW: what that row said, as if it had run here.
machine()
{
	local rc

	machine_boot || return
	sed -n "/@@begin $1\$/,/@@$1 /p" "$dir/machine.log" | grep '^[a-z]*\.[ch]:'
	rc=$(sed -n "s/^.*@@$1 //p" "$dir/machine.log")
	[ -n "$rc" ] || { echo "the machine ended before: $(tail -1 "$dir/machine.log")"; return 1; }
	# 137 would be taken for a time limit of ours.
	[ "$rc" != 137 ] || { echo "killed by the kernel for want of memory"; return 1; }
	return "$rc"
}
