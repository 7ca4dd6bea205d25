"""The lab: boots real kernels under QEMU, runs workloads in them, captures what they did as evidence.

`kernels` names kernels and finds their images; `initramfs` makes the guest; `boot` runs it; `dump` reads
exact state out of the stopped guest's memory; `capture` writes the folder that the oracle judges.
"""
