"""Getting bytes: HTTP, S3 and files, mirrors, retries, segments, and the fetcher that uses them."""
