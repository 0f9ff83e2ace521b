"""Local run of Signalbox on a machine that has nothing but Python: stores, services and the example.

`python -m signalbox_local up` is what `make up` runs; the tests start their servers with the same classes.
"""
