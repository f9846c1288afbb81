"""Drives OpenCV's VideoCapture. Needs opencv-python-headless."""
import os
import time

import drive

os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = f"rtsp_transport;{drive.TRANSPORT}"

import cv2  # noqa: E402


def read(capture, count):
    """Reads so many pictures, or up to the end."""
    for _ in range(count):
        is_there, image = capture.read()
        if not is_there:
            return False
        drive.picture(drive.number(image[:, :, 1].tobytes()))
    return True


def main():
    drive.say("begin")
    capture = cv2.VideoCapture(drive.URL, cv2.CAP_FFMPEG)
    read(capture, 60)
    drive.say("seek", drive.FIRST_SEEK)
    capture.set(cv2.CAP_PROP_POS_MSEC, drive.FIRST_SEEK * 1000)
    read(capture, 50)
    drive.say("pause")
    time.sleep(drive.PAUSE_SECONDS)
    drive.say("resume")
    read(capture, 50)
    drive.say("seek", drive.SECOND_SEEK)
    capture.set(cv2.CAP_PROP_POS_MSEC, drive.SECOND_SEEK * 1000)
    if not read(capture, 2000):
        drive.ended()


main()
