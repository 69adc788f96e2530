"""Private parts of Ray that this package relies on. The next Ray version is work in this folder only.

    memory_monitor.py   trials that Ray's memory monitor kills

Each module has a test for what it assumes of Ray.
"""
