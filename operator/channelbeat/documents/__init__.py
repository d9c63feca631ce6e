"""YAML and JSON text -> the objects in it, read as kubectl reads them; and objects -> YAML."""

from channelbeat.documents.file import values
from channelbeat.documents.notation import Unreadable, write
from channelbeat.documents.stream import Document, read, text

__all__ = ["Document", "Unreadable", "read", "text", "values", "write"]
