"""Git: hardened for repositories of others, plain for the user's own checkout."""
