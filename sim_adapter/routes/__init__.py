"""What a URL leads to."""
