#!/usr/bin/python3
"""Serves one MP4 file (H.264 and AAC) by GStreamer's RTSP server, each viewer a pipeline of his own.

Needs python3-gi and gir1.2-gst-rtsp-server-1.0.  gst-rtsp-server.py FILE [PORT]
"""
import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

Gst.init(None)
factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch(
    f"( filesrc location={sys.argv[1]} ! qtdemux name=d"
    " d.video_0 ! queue ! h264parse config-interval=-1 ! rtph264pay name=pay0 pt=96"
    " d.audio_0 ! queue ! aacparse ! rtpmp4gpay name=pay1 pt=97 )"
)
# As a server of films, not of cameras: everybody has a position of his own.
factory.set_shared(False)
server = GstRtspServer.RTSPServer(service=sys.argv[2] if len(sys.argv) > 2 else "8555")
server.get_mount_points().add_factory("/title.mp4", factory)
if not server.attach(None):
    sys.exit(f"port {server.get_service()} is taken")


def forget_the_dead():
    """The library leaves it to the program to end sessions whose time is over."""
    server.get_session_pool().cleanup()
    return True


GLib.timeout_add_seconds(2, forget_the_dead)
print(f"rtsp://127.0.0.1:{server.get_service()}/title.mp4", flush=True)
GLib.MainLoop().run()
