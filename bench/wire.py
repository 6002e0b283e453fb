"""A proxy between a client and PostgreSQL: counts round trips, and delays. Standard library only."""
import queue
import socket
import struct
import threading
import time


class Proxy:
    """Serves one connection at a time. Counts the server's ReadyForQuery messages, one for each Query or Sync, from the end of the login
    on, and forwards everything `delay` ms of round-trip time later, half of it each way."""

    def __init__(self, port, delay=0):
        self.server, self.delay, self.answers = port, delay / 2000, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.worker = threading.Thread(target=self.serve)

    def __enter__(self):
        self.worker.start()
        return self

    def __exit__(self, *_):
        self.worker.join()
        self.listener.close()

    def serve(self):
        """One connection, which is what a run has."""
        client, _ = self.listener.accept()
        with client, socket.create_connection(("127.0.0.1", self.server)) as server:
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            there = threading.Thread(target=self.forward, args=(client, server, lambda _: None))
            there.start()
            self.forward(server, client, self.counter())
            there.join()
        self.answers -= 1  # the first one ends the login

    def forward(self, source, target, look):
        """Until the source ends. What is under way does not wait for what is behind it."""
        pending = queue.SimpleQueue()
        sender = threading.Thread(target=self.send, args=(pending, target))
        sender.start()
        while data := source.recv(65536):
            look(data)
            pending.put((time.monotonic() + self.delay, data))
        pending.put((0, None))
        sender.join()

    @staticmethod
    def send(pending, target):
        while (item := pending.get())[1] is not None:
            at, data = item
            time.sleep(max(0, at - time.monotonic()))
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)

    def counter(self):
        pending = bytearray()

        def look(data):
            pending.extend(data)
            while len(pending) >= 5 and len(pending) > (length := struct.unpack("!I", pending[1:5])[0]):
                self.answers += pending[:1] == b"Z"
                del pending[:1 + length]
        return look
