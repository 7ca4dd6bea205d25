# area: debug
# title: KASAN: wrong uses of memory, each with its report
# memory: 256M
# append: cgroup_disable=memory kasan_multi_shot
# modules: misuse
# needs: kasan_report
quiet
[ -e /sys/kernel/debug/misuse ] || { echo "no module misuse"; exit 1; }
mark A
for how in right after-end before-start after-free twice right; do
	dmesg -c > /dev/null
	echo "## $how"
	echo $how > /sys/kernel/debug/misuse
	dmesg
done | keep reports.txt
mark B
