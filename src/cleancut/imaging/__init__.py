"""Pictures in and out: decode, colour management, resizing, encode."""
