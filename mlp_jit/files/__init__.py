"""Models as files: `save(model, path)` and `load(path)`.

`container.py` is the file's layout, `values.py` how values become JSON and arrays, `models.py` what a model is
made of, `estimators.py` what an estimator is, `attributes.py` what it may have learnt.
"""
