"""Thumbnails of pictures, made by Celery: the plainest project there is."""
