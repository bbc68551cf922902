"""Objects as maps that a network predicts, and back: encoding, watershed, blocks, linking."""
