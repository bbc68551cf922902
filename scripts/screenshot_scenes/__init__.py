"""What the pictures of the documentation show: each scene plays something in a real window."""
