#!/usr/bin/python3
"""Drives GStreamer's rtspsrc. Needs python3-gi."""
import threading

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstApp", "1.0")
from gi.repository import Gst, GstApp  # noqa: E402, F401

import drive  # noqa: E402

SCHEMES = {"udp": "rtspu", "tcp": "rtspt", "http": "rtsph"}


def pull(pipeline, sink):
    """Numbers every picture."""
    while True:
        sample = sink.try_pull_sample(Gst.SECOND // 5)
        if sample is None:
            if pipeline.get_bus().pop_filtered(Gst.MessageType.EOS):
                drive.ended()
            continue
        buffer = sample.get_buffer()
        luma = buffer.extract_dup(0, drive.WIDTH * drive.BOX)
        drive.picture(drive.number(luma))
        del buffer, sample


def main():
    Gst.init(None)
    # Its decoders turn round what lies between two discontinuities when they play back. They see
    # none in what comes by RTP, and would show everything at the end.
    turned = "! identity single-segment=true" if drive.IS_TRICK else ""
    url = drive.URL.replace("rtsp:", SCHEMES[drive.TRANSPORT] + ":")
    pipeline = Gst.parse_launch(
        f"rtspsrc location={url} "
        f"! application/x-rtp,media=video ! rtph264depay {turned} ! h264parse ! avdec_h264 "
        "! video/x-raw,format=I420 ! appsink name=sink sync=false async=false max-buffers=500"
    )
    sink = pipeline.get_by_name("sink")
    threading.Thread(target=pull, args=[pipeline, sink], daemon=True).start()
    flags = Gst.SeekFlags.FLUSH | Gst.SeekFlags.KEY_UNIT

    def seek(seconds):
        pipeline.seek_simple(Gst.Format.TIME, flags, seconds * Gst.SECOND)

    def set_rate(rate):
        """Forward from here, or back from here."""
        here = pipeline.query_position(Gst.Format.TIME)[1]
        bounds = (here, -1) if rate > 0 else (0, here)
        set_to = Gst.SeekType.SET
        trick_flags = flags | Gst.SeekFlags.TRICKMODE | Gst.SeekFlags.TRICKMODE_KEY_UNITS
        pipeline.seek(rate, Gst.Format.TIME, trick_flags, set_to, bounds[0], set_to, bounds[1])

    pipeline.set_state(Gst.State.PLAYING)
    if drive.IS_TRICK:
        drive.trick(seek, set_rate)
        drive.leave()
    drive.script(
        seek,
        lambda: pipeline.set_state(Gst.State.PAUSED),
        lambda: pipeline.set_state(Gst.State.PLAYING),
    )
    pipeline.set_state(Gst.State.NULL)


main()
