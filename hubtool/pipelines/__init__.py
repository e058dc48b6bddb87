"""From a picture or a text to labels: what a card says about using its network, done.

:mod:`.use` reads what the card says, :mod:`.pictures` and :mod:`.texts` make the network's inputs, :mod:`.results` says
what its outputs mean, and :mod:`.pipeline` puts them around the loaded network.
"""
