from album.models import Video

from ._analyze import Analyze


class Command(Analyze):
    help = "Analyzes waiting videos now."
    kind = Video
