"""Recordings: wav, flac, ogg, opus and mp3.

riff    sizes in the header of a wav or aiff file, corrected
audio   one recording: decoded, mixed down to mono, resampled, cut into segments
reader  a folder of recordings with a folder for each class
"""
