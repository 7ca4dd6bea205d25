# area: memcg
# title: files of control groups v2: reclaim on request, limits of swap, peaks by open file
# memory: 192M
# append: cgroup_no_v1=all transparent_hugepage=never
# disk: 128M
# needs: try_charge_memcg
# dump: memcg
quiet
mkswap /dev/vda > /dev/null
swapon /dev/vda
mkdir -p /cg
mount -t cgroup2 none /cg
echo +memory > /cg/cgroup.subtree_control
mkdir /cg/p
echo +memory > /cg/p/cgroup.subtree_control
mkdir /cg/p/a
state() {
	echo "## $1"
	for g in p p/a; do
		for f in current min low high max peak swap.current swap.high swap.max swap.peak events swap.events stat; do
			[ -f /cg/$g/memory.$f ] && grep -H '' /cg/$g/memory.$f
		done
	done
}
files() { ls /cg/memory.* /cg/p/memory.* /cg/p/*/memory.* 2>/dev/null | grep -v -e reclaim -e pressure; }
inside() { g=$1; shift; sh -c "echo \$\$ > /cg/$g/cgroup.procs; exec $*"; }
end() { for p in $(cat /cg/$1/cgroup.procs); do kill -9 $p; done; sleep 0.2; }
put() { if (echo "$2" > /cg/$1) 2>/tmp/why; then echo "put $1 $2: good"; else echo "put $1 $2: $(sed 's/.*: //' /tmp/why)"; fi; }
mark A $(files)
{
	state start
	inside p/a guest hold 8 20 ready > /tmp/ready &
	wait_ready
	state "a holds 8"
	put p/a/memory.reclaim 2M
	state "2 reclaimed"
	put p/a/memory.swap.max 1M
	state "swap max 1 below usage"
	put p/a/memory.reclaim 4M
	state "4 asked for, no swap left"
	put p/a/memory.swap.max 3M
	put p/a/memory.reclaim 64M
	state "64 asked for"
	put p/a/memory.reclaim nonsense
	put p/a/memory.high 1M
	state "high 1"
	put p/a/memory.max 4M
	state "max 4"
	put p/a/memory.max max
	put p/a/memory.high max
	mark C $(files)
	end p/a
	state "killed"
	exec 3<>/cg/p/a/memory.peak 4<>/cg/p/a/memory.peak 5<>/cg/p/a/memory.peak
	if printf 0 >&3; then
		printf 0 >&5
		echo "peak: two files written, current $(cat /cg/p/a/memory.current)"
		inside p/a guest hold 6 0.2
		echo "peak: 6 came and went, current $(cat /cg/p/a/memory.current)"
		echo "peak by the one file, first digit left out: $(cat <&5)"
		printf 0 >&4
		echo "peak by the other, after a third was written: $(cat <&3)"
	fi
	exec 3<&- 4<&- 5<&-
	state end
} 2>&1 | keep groups.txt
mark B
