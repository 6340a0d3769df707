import django.db.models.deletion
from django.db import migrations, models

ID = ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"))
STATUSES = [(status, status.capitalize()) for status in ("PENDING", "PROCESSING", "COMPLETED", "FAILED")]


class Migration(migrations.Migration):
    initial = True
    operations = (
        migrations.CreateModel(
            name="Inspection",
            fields=[
                ID,
                ("site", models.CharField(max_length=100)),
                ("expires_at", models.DateTimeField(db_index=True)),
            ],
        ),
        migrations.CreateModel(
            name="Upload",
            fields=[
                ID,
                ("seconds", models.PositiveIntegerField()),
                ("size_mb", models.PositiveIntegerField()),
                ("height", models.PositiveIntegerField(default=2160)),
                ("status", models.CharField(choices=STATUSES, db_index=True, default="PENDING", max_length=20)),
                ("error_message", models.TextField(blank=True, default="")),
                ("frames", models.PositiveIntegerField(default=0)),
                ("labels", models.JSONField(blank=True, default=list)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                (
                    "inspection",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="uploads.inspection"),
                ),
            ],
        ),
    )
