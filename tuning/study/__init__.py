"""The study: the only record of a sweep. Everything that is shown is computed from it.

file.py         the study's file, in two copies
record.py       the study, open for writing
overview.py     the trials, kept up without reading all of them again
excerpt.py      some trials as a study of their own
beginning.py    what a new study begins with
reading.py      the same file, opened for reading, and its run in MLflow
mirror.py       the copy of the file in an object store
lessons.py      trials of earlier sweeps that teach the sampler
sanity.py       the sanity lines: models that count
stage_uses.py   how trials came to the results of shared stages
"""
