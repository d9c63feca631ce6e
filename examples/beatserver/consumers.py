from channels.consumer import SyncConsumer


class PrintConsumer(SyncConsumer):
    def test_print(self, message):
        print(message["message"], flush=True)
