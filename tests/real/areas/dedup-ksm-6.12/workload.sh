# area: dedup
# title: KSM: equal, unequal and zero pages merged, written, unmerged
# memory: 192M
# append: cgroup_disable=memory
# needs: ksm_madvise
# dump: ksm
quiet
trace_buffer 20000
trace_events ksm
put 2000 /sys/kernel/mm/ksm/pages_to_scan
put 5 /sys/kernel/mm/ksm/sleep_millisecs
mark A
trace_on
put 1 /sys/kernel/mm/ksm/run
guest same 64 3 C D | keep same.jsonl
put 1 /sys/kernel/mm/ksm/use_zero_pages
guest same 64 3 E F | keep same_zero.jsonl
put 2 /sys/kernel/mm/ksm/run
trace_off
mark B
trace_save ksm
