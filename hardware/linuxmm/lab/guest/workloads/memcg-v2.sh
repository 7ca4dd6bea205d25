# area: memcg
# title: control groups v2: max, high, low, swap, OOM inside a group
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
mkdir /cg/p/a /cg/p/b
state() {
	echo "## $1"
	for g in p p/a p/b; do
		for f in current min low high max peak swap.current swap.max events stat; do
			[ -f /cg/$g/memory.$f ] && grep -H '' /cg/$g/memory.$f
		done
	done
}
files() { ls /cg/memory.* /cg/p/memory.* /cg/p/*/memory.* 2>/dev/null | grep -v -e reclaim -e pressure; }
inside() { g=$1; shift; sh -c "echo \$\$ > /cg/$g/cgroup.procs; exec $*"; }
end() { for p in $(cat /cg/$1/cgroup.procs); do kill -9 $p; done; sleep 0.2; }
trace_buffer 20000
trace_events vmscan:mm_vmscan_memcg_reclaim_begin vmscan:mm_vmscan_memcg_reclaim_end oom
mark A $(files)
trace_on
{
	state start
	inside p/a guest hold 10 0.2
	state "a held 10"
	echo 8M > /cg/p/a/memory.max
	echo 0 > /cg/p/a/memory.swap.max
	inside p/a guest hold 12 0.1
	echo "status $?"
	state "a max 8, no swap, hold 12"
	echo max > /cg/p/a/memory.swap.max
	inside p/a guest hold 12 0.2
	echo "status $?"
	state "a max 8, swap, hold 12"
	echo max > /cg/p/a/memory.max
	echo 6M > /cg/p/a/memory.high
	inside p/a guest hold 10 0.2
	state "a high 6, hold 10"
	echo max > /cg/p/a/memory.high
	echo 20M > /cg/p/memory.max
	echo 8M > /cg/p/a/memory.low
	inside p/a guest hold 7 3 &
	sleep 0.5
	inside p/b guest hold 18 20 ready > /tmp/ready &
	wait_ready
	mark C $(files)
	end p/b
	state "p max 20, a low 8 holds 7, b hold 18"
	wait
	rmdir /cg/p/b /cg/p/a
	state end
} | keep groups.txt
trace_off
mark B
trace_save memcg
