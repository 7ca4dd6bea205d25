# What workloads use.  All names of files that `guest send` gets are paths in the capture folder.
T=/sys/kernel/tracing

quiet() { # no periodic work: it would change the state between two marks
	put -1 /proc/sys/kernel/sched_rt_runtime_us
	put 3600 /proc/sys/vm/stat_interval
	put 0 /proc/sys/kernel/nmi_watchdog
	put 0 /proc/sys/kernel/watchdog
	put 0 /sys/kernel/mm/transparent_hugepage/khugepaged/defrag
	put 360000 /proc/sys/vm/dirty_writeback_centisecs
	put 0 /proc/sys/vm/compaction_proactiveness
}

put() { [ -e "$2" ] && { echo "$1" > "$2"; } 2>/dev/null; true; } # VALUE FILE: what a kernel lacks is left out

available() { # megabytes that could be had
	echo $(($(awk '/MemAvailable/ { print $2 }' /proc/meminfo) / 1024))
}

settle() { # write back, drop caches, let what is pending end
	sync
	echo 3 > /proc/sys/vm/drop_caches
	sleep "${1:-1}"
}

trace_buffer() { # KILOBYTES per CPU
	echo nop > $T/current_tracer
	echo 0 > $T/tracing_on
	echo "${1:-16384}" > $T/buffer_size_kb
	echo "$(cat /etc/trace_clock)" > $T/trace_clock
	echo > $T/trace
}

trace_events() { # SYSTEM[:EVENT]...
	for e in "$@"; do
		d=$T/events/$(echo "$e" | tr : /)
		if [ -d "$d" ]; then echo 1 > "$d/enable"; else echo "no event $e"; fi
	done
}

trace_allocator() { # every event of the page allocator
	trace_events kmem:mm_page_alloc kmem:mm_page_free kmem:mm_page_free_batched kmem:mm_page_alloc_zone_locked \
		kmem:mm_page_pcpu_drain kmem:mm_page_alloc_extfrag
}

trace_probes() { # SET: define and enable the probes of a set (/etc/probes/SET: name kind symbol arguments)
	[ -s "/etc/probes/$1" ] || { echo "no probes $1"; return; }
	put 0 /proc/sys/debug/kprobes-optimization
	while read -r name kind symbol arguments; do
		probe "$name" "$kind" "$symbol" "$arguments" || echo "no probe $name at $symbol"
	done < "/etc/probes/$1"
	echo 1 > "$T/events/$1/enable"
}

probe() { # an entry probe goes behind the function's patchable nop, where interrupts are off in its handler
	case $2 in
	r) echo "r:$1 $3 $4" 2>/dev/null >> $T/kprobe_events ;;
	p)
		for at in +5 +9 ""; do
			echo "p:$1 $3$at $4" 2>/dev/null >> $T/kprobe_events && return 0
		done
		return 1
		;;
	esac
}

trace_on() { echo 1 > $T/tracing_on; }
trace_off() { echo 0 > $T/tracing_on; }

trace_save() { # NAME: the trace, what was enabled, what was lost
	cat $T/set_event | guest send "trace/$1.events"
	cat $T/kprobe_events | guest send "trace/$1.probes"
	cat $T/kprobe_profile | guest send "trace/$1.profile"
	for c in $T/per_cpu/cpu*; do
		echo "cpu $(basename "$c")"
		cat "$c/stats"
	done | guest send "trace/$1.stats"
	guest send "trace/$1.txt" < $T/trace
}

mark() { guest mark "$@"; } # NAME [FILE...]: stop the machine; the host reads its memory
phase() { echo "PHASE $*" > $T/trace_marker; guest note "$*"; }
keep() { # NAME: standard input becomes a file of the capture, once it has ended: the host may be asked meanwhile
	cat > "/tmp/keep.$1"
	guest send "data/$1" < "/tmp/keep.$1"
	rm "/tmp/keep.$1"
}
wait_ready() { # a background command wrote /tmp/ready; after half a minute the workload goes on without it
	n=0
	while [ ! -s /tmp/ready ] && [ $n -lt 300 ]; do
		sleep 0.1
		n=$((n + 1))
	done
	[ -s /tmp/ready ] || echo "not ready: $(dmesg | tail -1)"
	rm -f /tmp/ready
}
