"""The parts of `flights_demo.py`: the data, the broker's process, the checks, the group's members."""
