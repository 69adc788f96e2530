"""Storage: folders and object stores, and where each file of a sweep lies in them.

    layout.py          the places of a sweep's files
    object_store.py    small files in `s3://` and `gs://`
    remote_folder.py   folders of shared files under any storage

Outside code imports from the modules.
"""
