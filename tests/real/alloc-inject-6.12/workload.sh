# area: debug
# title: fail_page_alloc and failslab: requests refused on purpose, and what the system does then
# memory: 192M
# append: cgroup_disable=memory transparent_hugepage=never
# needs: should_fail_ex
# probes: alloc
quiet
F=/sys/kernel/debug/fail_page_alloc
settle 1
trace_buffer 40000
trace_probes alloc
trace_allocator
put N $F/ignore-gfp-wait
put N $F/ignore-gfp-highmem
put 0 $F/min-order
put 7 $F/interval
put 100 $F/probability
put -1 $F/times
put 1 $F/task-filter
put 1 $F/verbose
dmesg -c > /dev/null
trace_on
mark A
guest failing pipes 5 200 60
guest failing churn 5 100 100 4000
mark B
trace_off
put 0 $F/probability
grep -H '' $F/* | keep settings.txt
dmesg | grep -E 'FAULT_INJECTION|fail_page_alloc|name ' | keep injected.txt
trace_save inject
