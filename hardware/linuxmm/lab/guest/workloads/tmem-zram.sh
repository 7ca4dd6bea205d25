# area: tmem
# title: zram: pages of zeros, patterns and noise, swap on it
# memory: 192M
# append: cgroup_disable=memory transparent_hugepage=never
# modules: zram lzo_rle lzo
quiet
state() { echo "## $1"; for f in mm_stat io_stat bd_stat stat disksize; do grep -H '' /sys/block/zram0/$f 2>/dev/null; done; }
mark A
{
	put 96M /sys/block/zram0/disksize
	state size
	mkswap /dev/zram0 > /dev/null
	swapon /dev/zram0
	guest hold 150 0.3 again
	state "pattern"
	guest hold 150 0.2 random
	state "random"
	swapoff /dev/zram0
	state off
	dd if=/dev/zero of=/dev/zram0 bs=4096 count=100 2>/dev/null
	state "100 zero pages"
	dd if=/dev/urandom of=/dev/zram0 bs=4096 count=50 seek=200 2>/dev/null
	sync
	state "50 random pages"
	put 1 /sys/block/zram0/reset
} | keep zram.txt
mark B
