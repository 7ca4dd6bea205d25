# area: large
# title: vmalloc: stacks, module space, areas freed lazily
# memory: 192M
# append: cgroup_disable=memory
quiet
trace_buffer 16000
trace_events vmalloc
mark A
trace_on
for m in loop zram ext4; do insmod /modules/$m.ko 2>/dev/null; done
i=0
while [ $i -lt 40 ]; do guest churn $i 3 4 100; i=$((i+1)); done
trace_off
mark B
trace_save vmalloc
