# area: debug
# title: kmemleak: objects lost on purpose, and found
# memory: 192M
# append: cgroup_disable=memory kmemleak=on slab_nomerge
# modules: misuse
# needs: kmemleak_alloc
# dump: slab
quiet
L=/sys/kernel/debug/kmemleak
[ -e /sys/kernel/debug/misuse ] || { echo "no module misuse"; exit 1; }
put clear $L
mark A
for n in 1 2 3; do echo lost > /sys/kernel/debug/misuse; done
sleep 6 # kmemleak does not report what is younger than 5 s
for n in 1 2 3; do
	echo scan > $L
	sleep 1
done
cat $L | keep kmemleak.txt
mark B
dmesg | grep -iE 'kmemleak|misuse' | keep reports.txt
