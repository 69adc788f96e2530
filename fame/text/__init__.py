"""The text stage of FAME+: item vectors from text, disentangled by facet, before any sequence is seen.

encoder.py   text → vector, by a frozen language model
cache.py     vectors on disk, once per (encoder, text)
texts.py     the text of an item
facets.py    what items have in common: labels, sets of labels, numbers
contrast.py  the loss, and batches in which every anchor has positives
pretrain.py  the stage: one projection per head, facets in turn
start.py     what a training does with the result
probe.py     which block knows which facet
disentanglement.py   that as numbers, text and a heat map
"""
