"""Sweeps on a cluster: `python -m cluster.doctor` checks it, and the files start one."""

from fame.interrupts import on_the_way

on_the_way()
