# area: vm
# title: process_vm_readv and process_vm_writev: whole, in part, across holes
# memory: 128M
# dump: tasks
mark A
guest across 1 2000 | keep across.jsonl
mark B
