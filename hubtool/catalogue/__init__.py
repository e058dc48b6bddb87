"""The catalogue: the cards of registries as static pages, which open from a folder as well as from a web server."""
