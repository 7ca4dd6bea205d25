# area: hotplug
# title: memory plugged in, put online movable and kernel, taken offline
# memory: 256M
# slots: 1G
# append: cgroup_disable=memory transparent_hugepage=never
quiet
put offline /sys/devices/system/memory/auto_online_blocks
trace_buffer 16000
trace_allocator
trace_events page_isolation
blocks() {
	echo "## $1"
	for m in /sys/devices/system/memory/memory*; do
		echo "$(basename $m) $(cat $m/state) $(cat $m/valid_zones)"
	done
	grep -E 'Node|spanned|present|managed' /proc/zoneinfo
}
new() { for m in /sys/devices/system/memory/memory*; do [ "$(cat $m/state)" = offline ] && echo $m; done; }
trace_on
mark A
{
	blocks start
	guest note plug
	guest monitor object_add memory-backend-ram,id=extra,size=256M
	guest monitor device_add pc-dimm,id=d1,memdev=extra
	sleep 1
	guest note plugged
	blocks plugged
	set -- $(new)
	put online_movable $1/state
	put online_kernel $2/state
	blocks online
	guest hold 100 1
	put offline $1/state
	blocks "first offline again"
} | keep blocks.txt
trace_off
mark B
trace_save hotplug
