# area: cache
# title: writers held back by a slow disk and small limits
# memory: 192M
# append: transparent_hugepage=never
# disk: 128M throttling.bps-write=4000000
# modules: ext4
# dump: cache
quiet
put 100 /proc/sys/vm/dirty_writeback_centisecs
put 300 /proc/sys/vm/dirty_expire_centisecs
mke2fs -b 4096 /dev/vda > /dev/null 2>&1
mount -t ext4 /dev/vda /mnt
put 6291456 /proc/sys/vm/dirty_bytes
put 3145728 /proc/sys/vm/dirty_background_bytes
trace_buffer 30000
trace_events writeback:balance_dirty_pages writeback:global_dirty_state writeback:bdi_dirty_ratelimit \
	writeback:writeback_start writeback:writeback_written writeback:writeback_queue writeback:writeback_single_inode
mark A
trace_on
guest write /mnt/f 24 &
guest write /mnt/g 12 &
for n in 1 2 3 4 5 6 7 8; do
	sleep 1
	grep -E 'nr_dirty|nr_writeback|nr_dirtied|nr_written' /proc/vmstat
done | keep counters.txt
wait
sync
trace_off
mark B
trace_save writeback
