"""Our own micro family: music made by rules, and the training that teaches it to the released layout."""
