from django.db import migrations, models

STATUSES = ("pending", "processing", "completed", "failed")


def fields():
    choices = [(status, status.title()) for status in STATUSES]
    return [
        ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
        ("file", models.CharField(help_text="Below MEDIA_ROOT.", max_length=200)),
        ("processing_status", models.CharField(choices=choices, db_index=True, default="pending", max_length=20)),
        ("description", models.TextField(blank=True)),
        ("tags", models.CharField(blank=True, max_length=200)),
        ("error", models.TextField(blank=True)),
        ("uploaded_at", models.DateTimeField(auto_now_add=True)),
        ("updated_at", models.DateTimeField(auto_now=True)),
    ]


class Migration(migrations.Migration):
    initial = True
    operations = tuple(
        migrations.CreateModel(name=name, fields=fields(), options={"abstract": False}) for name in ("Photo", "Video")
    )
