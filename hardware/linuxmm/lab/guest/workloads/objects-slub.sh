# area: objects
# title: SLUB: caches, their slabs and free lists before and after churn
# memory: 192M
# append: cgroup_disable=memory slab_nomerge
# probes: objects
# dump: slab
# bits: 64
quiet
trace_buffer 40000
trace_events kmem:kmalloc kmem:kfree kmem:kmem_cache_alloc kmem:kmem_cache_free kmem:mm_page_alloc kmem:mm_page_free
trace_probes objects
settle 1
trace_on
mark A
guest pipes 3 300 60
i=0
while [ $i -lt 200 ]; do : > /tmp/file_$i; i=$((i+1)); done
rm -f /tmp/file_*
mark B
trace_off
trace_save slub
