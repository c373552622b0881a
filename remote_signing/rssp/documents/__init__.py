"""Signed documents (AdES): from a file or its digest to a signature with time and status.

Three stages, with the key's use between the first and the second: *prepare* fixes the bytes to be
signed, *finish* puts the signature with its time stamp and validation data in place, *seal* adds
the time stamp over all of it (B-LTA). Stages on files run in worker processes (:mod:`.workshop`);
what only this process can get (signature, time, status) is handed to them as bytes.
"""
