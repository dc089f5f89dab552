"""A still network as a file for other runtimes: browsers, Android (LiteRT), iOS (Core ML)."""
