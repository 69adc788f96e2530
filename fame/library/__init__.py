"""Library: the functions that `import fame` gives, over all other folders.

    fitting.py     `fit`: trains a model on a dataset
    model.py       `Model`: a trained model that evaluates, recommends and saves; `load` reads one
    settings.py    settings given as keywords
    progress.py    the progress of a training: a bar, or lines

The commands of `fame` call these functions. No other folder imports from here.
"""
