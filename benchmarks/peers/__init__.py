"""Programs that FAME is timed against. `peer`, `…_epoch`: other libraries, in environments of their own, which import nothing else of here.

`ask` asks them, `python -m benchmarks.peers` compares them. `naive_fame` is FAME as a first draft would have it.
"""
