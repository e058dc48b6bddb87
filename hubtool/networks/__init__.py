"""Networks: from a recipe to a `mindspore.nn.Cell`."""
