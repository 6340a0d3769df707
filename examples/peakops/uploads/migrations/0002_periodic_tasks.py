"""What beat sends. It can be changed at any time: beat reads it from the database."""

from django.db import migrations


def schedule(apps, _):
    intervals = apps.get_model("django_celery_beat", "IntervalSchedule").objects
    tasks = apps.get_model("django_celery_beat", "PeriodicTask").objects
    hourly, _ = intervals.get_or_create(every=1, period="hours")
    task = {"task": "uploads.tasks.cleanup_expired_inspections", "interval": hourly}
    tasks.get_or_create(name="Clean up expired inspections", defaults=task)


class Migration(migrations.Migration):
    dependencies = (("uploads", "0001_initial"), ("django_celery_beat", "0019_alter_periodictasks_options"))
    operations = (migrations.RunPython(schedule, migrations.RunPython.noop),)
