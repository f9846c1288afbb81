#!/usr/bin/python3
"""Drives GStreamer's rtspsrc. Needs python3-gi."""
import threading

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstApp", "1.0")
from gi.repository import Gst, GstApp  # noqa: E402, F401

import drive  # noqa: E402


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
    pipeline = Gst.parse_launch(
        f"rtspsrc location={drive.URL} protocols={drive.TRANSPORT} latency=200 "
        "! application/x-rtp,media=video ! rtph264depay ! h264parse ! avdec_h264 "
        "! video/x-raw,format=I420 ! appsink name=sink sync=false async=false max-buffers=500"
    )
    sink = pipeline.get_by_name("sink")
    threading.Thread(target=pull, args=[pipeline, sink], daemon=True).start()
    flags = Gst.SeekFlags.FLUSH | Gst.SeekFlags.KEY_UNIT

    def seek(seconds):
        pipeline.seek_simple(Gst.Format.TIME, flags, seconds * Gst.SECOND)

    pipeline.set_state(Gst.State.PLAYING)
    drive.script(
        seek,
        lambda: pipeline.set_state(Gst.State.PAUSED),
        lambda: pipeline.set_state(Gst.State.PLAYING),
    )
    pipeline.set_state(Gst.State.NULL)


main()
