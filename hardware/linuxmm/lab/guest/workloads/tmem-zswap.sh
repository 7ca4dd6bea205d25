# area: tmem
# title: zswap in front of a disk: kept, refused, written back
# memory: 192M
# append: transparent_hugepage=never
# disk: 256M
# dump: zswap
# modules: lzo lzo_rle zsmalloc zbud z3fold
quiet
mkswap /dev/vda > /dev/null
put lzo /sys/module/zswap/parameters/compressor
put Y /sys/module/zswap/parameters/enabled
swapon /dev/vda
state() { echo "## $1"; grep -H '' /sys/kernel/debug/zswap/* 2>/dev/null; grep -iE 'zsw' /proc/meminfo /proc/vmstat; cat /proc/swaps; }
mark A
{
	state start
	guest hold 130 0.2 again
	state pattern
	guest hold 120 30 again ready > /tmp/ready &
	wait_ready
	mark C
	kill $!
	guest hold 120 0.1 random
	state random
	put 5 /sys/module/zswap/parameters/max_pool_percent
	guest hold 130 0.2
	state "pool 5 %"
} | keep zswap.txt
mark B
