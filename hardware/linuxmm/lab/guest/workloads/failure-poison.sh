# area: failure
# title: pages taken out of use, softly and hard
# memory: 192M
# needs: memory_failure
quiet
trace_buffer 8000
trace_events ras:memory_failure_event migrate
mark A
trace_on
guest poison | keep poison.json
trace_off
mark B
grep HardwareC /proc/meminfo | keep meminfo.txt
trace_save failure
