"""A way to a server on loopback that fails now and then.

    fault_proxy.py PORT SERVER_PORT

Of every four connections one is answered with 503, and of one the answer breaks off after 40,000 bytes.
Prints how many of each there were when it is ended by SIGTERM.
"""

import signal
import socket
import sys
import threading

CUT_AFTER = 40_000
counts = {"whole": 0, "refused": 0, "cut": 0}


def copy(source, target, limit=None):
    sent = 0
    try:
        while data := source.recv(1 << 16):
            if limit is not None and sent + len(data) > limit:
                target.sendall(data[: limit - sent])
                break
            target.sendall(data)
            sent += len(data)
    except OSError:
        pass
    for end in (source, target):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def serve(client, number, port):
    if number % 4 == 1:
        counts["refused"] += 1
        client.recv(1 << 16)
        client.sendall(b"HTTP/1.1 503 Slow Down\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        client.close()
        return
    cut = number % 4 == 3
    counts["cut" if cut else "whole"] += 1
    server = socket.create_connection(("127.0.0.1", port))
    threading.Thread(target=copy, args=(client, server), daemon=True).start()
    copy(server, client, CUT_AFTER if cut else None)


def main():
    port, server_port = int(sys.argv[1]), int(sys.argv[2])

    def end(*_):
        print(", ".join(f"{count} {name}" for name, count in counts.items()), flush=True)
        sys.exit(0)

    signal.signal(signal.SIGTERM, end)
    with socket.create_server(("127.0.0.1", port)) as listener:
        number = 0
        while True:
            client, _ = listener.accept()
            threading.Thread(target=serve, args=(client, number, server_port), daemon=True).start()
            number += 1


main()
