# area: memcg
# title: control groups v1: limits of memory and of memory with swap, hierarchy, failure counts, soft limits
# memory: 192M
# append: cgroup_no_v1=cpu transparent_hugepage=never
# disk: 128M
# needs: try_charge_memcg mem_cgroup_write
# dump: memcg
quiet
mkswap /dev/vda > /dev/null
swapon /dev/vda
mkdir -p /cg
mount -t cgroup -o memory none /cg || exit 1
put 1 /cg/memory.use_hierarchy
mkdir -p /cg/p/a /cg/p/b
files() { ls /cg/memory.* /cg/p/memory.* /cg/p/*/memory.* | grep -v -e force_empty -e pressure_level -e oom_control; }
state() {
	echo "## $1"
	for g in p p/a p/b; do
		for f in usage_in_bytes limit_in_bytes max_usage_in_bytes failcnt soft_limit_in_bytes memsw.usage_in_bytes \
			memsw.limit_in_bytes memsw.failcnt kmem.usage_in_bytes stat; do
			[ -f /cg/$g/memory.$f ] && grep -H '' /cg/$g/memory.$f
		done
		# Once more: a group that just lost its children shrinks while its files are read in turn.
		[ -d /cg/$g ] && grep -H '' /cg/$g/memory.usage_in_bytes
	done
}
inside() { g=$1; shift; sh -c "echo \$\$ > /cg/$g/cgroup.procs; exec $*"; }
end() { for p in $(cat /cg/$1/cgroup.procs); do kill -9 $p; done; sleep 0.2; }
trace_buffer 20000
trace_events vmscan:mm_vmscan_memcg_reclaim_begin vmscan:mm_vmscan_memcg_reclaim_end \
	vmscan:mm_vmscan_memcg_softlimit_reclaim_begin vmscan:mm_vmscan_memcg_softlimit_reclaim_end oom
mark A $(files)
trace_on
{
	state start
	inside p/a guest hold 10 0.2
	state "a held 10"
	put 8M /cg/p/a/memory.limit_in_bytes
	inside p/a guest hold 12 0.2
	state "a limit 8, hold 12"
	put 8M /cg/p/a/memory.memsw.limit_in_bytes
	inside p/a guest hold 12 0.1
	echo "status $?"
	state "a limit 8 with swap, hold 12"
	put -1 /cg/p/a/memory.memsw.limit_in_bytes
	put -1 /cg/p/a/memory.limit_in_bytes
	put 20M /cg/p/memory.limit_in_bytes
	inside p/a guest hold 12 20 ready > /tmp/ready &
	wait_ready
	inside p/b guest hold 14 20 ready > /tmp/ready &
	wait_ready
	mark C $(files)
	state "p limit 20, a holds 12, b holds 14"
	end p/a
	end p/b
	put -1 /cg/p/memory.limit_in_bytes
	put 4M /cg/p/a/memory.soft_limit_in_bytes
	inside p/a guest hold 40 20 ready > /tmp/ready &
	wait_ready
	guest hold 120 0.5
	state "a soft limit 4 holds 40, 120 held outside"
	end p/a
	wait
	rmdir /cg/p/b /cg/p/a
	state end
} | keep groups.txt
trace_off
mark B $(files)
trace_save memcg
