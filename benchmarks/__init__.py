"""Measurements: `python -m benchmarks` lists them."""

from fame.interrupts import on_the_way

on_the_way()
