"""The same loops with four libraries. `WORKLOADS` of a module maps a workload's name to a function that is handed a `Job`."""
