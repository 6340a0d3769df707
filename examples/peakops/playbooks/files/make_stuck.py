"""For manage.py shell: three uploads whose worker ran out of memory two days ago."""

from datetime import timedelta

from django.utils import timezone
from uploads import bucket
from uploads.models import Inspection, Upload

site, new = Inspection.objects.get_or_create(
    site="Church tower", defaults={"expires_at": timezone.now() + timedelta(days=30)}
)
if new:
    for _ in range(3):
        bucket.put(Upload.objects.create(inspection=site, seconds=180, size_mb=100).pk, 100)
    site.upload_set.update(status="PROCESSING", updated_at=timezone.now() - timedelta(days=2))
    print("made")
