"""Approximate indexes of a model's items, made by `python -m fame.index --model DIR`.

Exact scores read the whole item table for every answer. Here items are in groups around k-means centres (an inverted
file, by faiss). A query reads only the groups with the nearest centres. Their number is chosen to find a given share of
the exact top 10 for users of the dataset. That pays from some hundred thousand items on.

    index.safetensors    centres [L, D + 1] and the group of each item [V], with the check sum of the model that they are of

inverted.py    the index, and its file
measure.py     makes one, and measures what it is worth
__main__.py    `python -m fame.index`

Without faiss (`pip install faiss-cpu`) a model that has an index is not loaded: scores that take a hundred times as long
would be no answer.
"""
