# area: debug
# title: page_owner: which pages whom belong to, before and after churn
# memory: 192M
# append: cgroup_disable=memory transparent_hugepage=never page_owner=on
# needs: __set_page_owner
# probes: alloc
quiet
owners() { # order, mobility and flags of each block in use, counted
	dd if=/sys/kernel/debug/page_owner bs=64k 2> /dev/null |
		awk '/^Page allocated via order/ { order = $5; mask = $7 } /^PFN/ { print order mask, $4, $7 }'
}
settle 1
trace_buffer 40000
trace_probes alloc
trace_allocator
guest hold 20 60 ready > /tmp/ready &
wait_ready
owners | sort | uniq -c | sort -rn | head -4000 | keep owners_before.txt
trace_on
mark A
guest churn 3 60 200 8000
guest pipes 3 120 40
mark B
trace_off
kill $!
owners | sort | uniq -c | sort -rn | head -4000 | keep owners_after.txt
trace_save owner
