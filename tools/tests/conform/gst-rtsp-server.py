#!/usr/bin/python3
"""Serves one MP4 file (H.264 and AAC) by GStreamer's RTSP server, each viewer a pipeline of his own.

Needs python3-gi and gir1.2-gst-rtsp-server-1.0.

    gst-rtsp-server.py FILE [PORT]          serves rtsp://127.0.0.1:PORT/title.mp4
    gst-rtsp-server.py FILE PORT --keep     and starts it again when it has ended or answers no more

Some checks bring that server down, or to a stop; the others are to be judged all the same.
"""
import socket
import subprocess
import sys
import time


def serve(path, port):
    import gi

    gi.require_version("Gst", "1.0")
    gi.require_version("GstRtspServer", "1.0")
    from gi.repository import GLib, Gst, GstRtspServer

    Gst.init(None)
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(
        f"( filesrc location={path} ! qtdemux name=d"
        " d.video_0 ! queue ! h264parse config-interval=-1 ! rtph264pay name=pay0 pt=96"
        " d.audio_0 ! queue ! aacparse ! rtpmp4gpay name=pay1 pt=97 )"
    )
    # As a server of films, not of cameras: everybody has a position of his own.
    factory.set_shared(False)
    server = GstRtspServer.RTSPServer(service=port)
    server.get_mount_points().add_factory("/title.mp4", factory)
    if not server.attach(None):
        sys.exit(f"port {port} is taken")

    def forget_the_dead():
        """The library leaves it to the program to end sessions whose time is over."""
        server.get_session_pool().cleanup()
        return True

    GLib.timeout_add_seconds(2, forget_the_dead)
    print(f"rtsp://127.0.0.1:{port}/title.mp4", flush=True)
    GLib.MainLoop().run()


def answers(port):
    try:
        with socket.create_connection(("127.0.0.1", int(port)), timeout=2) as connection:
            connection.sendall(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n")
            return connection.recv(9) == b"RTSP/1.0 "
    except OSError:
        return False


def keep(path, port):
    while True:
        child = subprocess.Popen([sys.executable, __file__, path, port])
        silent = 0
        while child.poll() is None and silent < 2:
            time.sleep(0.5)
            silent = 0 if answers(port) else silent + 1
        print("stopped" if child.poll() is None else f"ended with {child.poll()}", flush=True)
        child.kill()
        child.wait()


if __name__ == "__main__":
    port = sys.argv[2] if len(sys.argv) > 2 else "8555"
    (keep if "--keep" in sys.argv else serve)(sys.argv[1], port)
