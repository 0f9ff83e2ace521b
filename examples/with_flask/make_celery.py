"""What `celery -A make_celery` loads: the factory is called, and the Celery application taken out of its result."""

from guestbook import create_app

flask_app = create_app()
celery_app = flask_app.extensions["celery"]
