SECRET_KEY = "of no worth"
INSTALLED_APPS = ["orders"]
CELERY_BROKER_URL = "redis://127.0.0.1:6380/0"
