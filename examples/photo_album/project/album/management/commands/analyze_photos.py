from album.models import Photo

from ._analyze import Analyze


class Command(Analyze):
    help = "Analyzes waiting photos now."
    kind = Photo
