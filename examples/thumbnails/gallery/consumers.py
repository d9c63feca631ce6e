"""What to do about an event. `beat` tells which run it is; a consumer that must not act twice remembers `beat["run"]`."""

from channels.consumer import SyncConsumer
from django.conf import settings

from gallery.thumbnails import Gallery

gallery = Gallery(settings.PICTURES, settings.THUMBNAILS)


def tell(message, done, names):
    print(f"{message['beat']['event']} of {message['beat']['due']}: {done}: {', '.join(names) or 'nothing to do'}", flush=True)


class GenerateConsumer(SyncConsumer):
    """Listens on thumbnails-generate."""

    def generate(self, message):
        tell(message, f"thumbnails of {message['width']} px", gallery.generate(width=message["width"]))


class DeleteConsumer(SyncConsumer):
    """Listens on thumbnails-delete."""

    def delete(self, message):
        tell(message, "deleted", gallery.delete(older_than=message.get("older_than")))
