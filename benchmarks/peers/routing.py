"""What beatserver asks of a project."""

from channels.routing import ChannelNameRouter, ProtocolTypeRouter

application = ProtocolTypeRouter({"channel": ChannelNameRouter({})})
