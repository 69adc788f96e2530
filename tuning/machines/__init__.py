"""Machines: the Ray that a sweep runs on.

    local_ray.py   a Ray of the sweep's own on this machine
    resources.py   connecting to Ray, and how many trials fit at a time
    checks.py      checks of this machine before anything starts
    watch.py       ends the driver if Ray's head or the sweep's lock is gone

Outside code imports from the modules.
"""
