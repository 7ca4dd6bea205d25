# area: reclaim
# title: out of memory: who is chosen, and why
# memory: 160M
# append: transparent_hugepage=never
quiet
put 1 /proc/sys/vm/overcommit_memory
trace_buffer 8000
trace_events oom vmscan:mm_vmscan_direct_reclaim_begin vmscan:mm_vmscan_direct_reclaim_end
trace_on
mark A
guest hold 20 8 &
one=$!
guest hold 30 8 &
two=$!
sleep 1
put 300 /proc/$one/oom_score_adj
put -500 /proc/$two/oom_score_adj
for p in $one $two 1; do
	echo "$p score $(cat /proc/$p/oom_score) adj $(cat /proc/$p/oom_score_adj) $(grep VmRSS /proc/$p/status)"
done | keep scores.txt
guest hold 150 1
mark B
wait
trace_off
trace_save oom
