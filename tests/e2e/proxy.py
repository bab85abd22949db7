"""A way to a server that fails as networks do: silent, one-way, cut in the middle of a word.

It listens on a loopback port of its own and forwards to a unix socket. What it holds back it keeps,
closes nothing meanwhile, and forwards later: also to a server whose caller has long gone.
"""
import contextlib
import socket
import threading


class Proxy:
    def __init__(self, path):
        self.path = str(path)
        self.asked, self.answered = threading.Event(), threading.Event()
        self.release()
        self.lock = threading.Lock()
        self.sockets, self.closed = [], False
        self.word, self.left, self.refusing, self.cuts = None, 0, False, 0
        self.calls = 0                  # connections taken
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def conninfo(self, database):
        return (f"hostaddr=127.0.0.1 port={self.port} dbname={database} user=trien "
                "sslmode=disable gssencmode=disable")

    # ---- what it does to what passes ----

    def hold(self, answers_only=False):
        """From now on nothing gets through, or no answer does; new connections stay mute."""
        if not answers_only:
            self.asked.clear()
        self.answered.clear()

    def release(self):
        self.asked.set()
        self.answered.set()

    def cut(self):
        with self.lock:
            gone, self.sockets = self.sockets, []
        for s in gone:
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)

    def cut_at(self, word, nth):
        """Before the nth piece with that word; from then on it refuses, until pass_again()."""
        self.word, self.left = word, nth

    def pass_again(self):
        self.refusing = False

    def close(self):
        self.closed = True
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.release()
        self.cut()

    # ---- threads ----

    def accept(self):
        while True:
            try:
                caller, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                self.sockets.append(caller)
                self.calls += 1
            threading.Thread(target=self.serve, args=(caller,), daemon=True).start()

    def serve(self, caller):
        server = socket.socket(socket.AF_UNIX)
        with caller, server:
            self.asked.wait()
            if self.refusing or self.closed:
                return
            with contextlib.suppress(OSError):
                server.connect(self.path)
                with self.lock:
                    self.sockets.append(server)
                back = threading.Thread(target=self.pump, args=(server, caller, self.answered),
                                        daemon=True)
                back.start()
                self.pump(caller, server, self.asked)
                back.join()

    def pump(self, source, target, gate):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                gate.wait()
                if gate is self.asked and self.ends(data):
                    self.cut()
                    return
                target.sendall(data)
            gate.wait()
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def ends(self, data):
        with self.lock:
            if self.word is None or self.word not in data:
                return False
            self.left -= 1
            if self.left > 0:
                return False
            self.word, self.refusing = None, True
            self.cuts += 1
            return True
