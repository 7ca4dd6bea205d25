"""The modelled machine: physical memory, processors, devices, firmware tables."""
