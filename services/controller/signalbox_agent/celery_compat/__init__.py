"""The seam to Celery: the only place that names privates of celery, billiard and kombu.

`names` lists them with the feature that needs each, and tells at install which are missing. The other modules hold
small functions over them, one module for each part of Celery.
"""
