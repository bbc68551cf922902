"""What to look at in a result: which objects are doubtful, and where labels would help most."""
