# area: alloc
# title: pageblocks stolen: movable memory with holes, then kernel pages, page tables, dentries
# memory: 192M
# append: cgroup_disable=memory transparent_hugepage=never
# probes: alloc
# dump: lru
quiet
trace_buffer 60000
trace_probes alloc
trace_allocator
settle 1
trace_on
mark A
guest fragment $(($(available) - 24)) 3 > /tmp/ready &
wait_ready
guest pipes 5 3000 500
mkdir -p /tmp/d
i=0
while [ $i -lt 300 ]; do : > /tmp/d/file_$i; i=$((i+1)); done
guest pipes 6 2000 600
killall guest 2>/dev/null
guest churn 9 200 200 8000
rm -rf /tmp/d
mark B
trace_off
trace_save alloc
