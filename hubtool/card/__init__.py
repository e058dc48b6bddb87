"""Cards: the Markdown document, its front matter, its typed form, and what may be wrong with it."""
