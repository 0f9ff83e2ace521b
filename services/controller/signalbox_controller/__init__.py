"""The controller of one host: supervises its Celery processes, and proves what it did to them."""
