#!/usr/bin/env python
"""Django's command line: manage.py upload, retry, wait, migrate, shell, …"""

import os
import sys

from django.core.management import execute_from_command_line

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "peakops.settings")
execute_from_command_line(sys.argv)
