"""The local content-addressed store: blobs, their records, files on their way in, and cleaning up."""
