# area: reclaim
# title: swap on two devices of one priority, MADV_FREE, swapoff
# memory: 192M
# append: cgroup_disable=memory transparent_hugepage=never
# disk: 64M
# disk: 64M
# dump: lru cache tasks
# probes: lru
quiet
for d in vda vdb; do mkswap /dev/$d > /dev/null; guest swapon 5 /dev/$d; done
trace_buffer 24000
trace_events vmscan oom
trace_probes lru
trace_on
mark A
guest hold 100 0.3 again
mark C
guest lazyfree 24 90 | keep lazyfree.json
guest hold 60 3 &
guest hold 60 0.3
cat /proc/swaps | keep swaps.txt
wait
swapoff /dev/vdb
mark B
trace_off
trace_save swap
