"""Configuration of one controller: `signalbox.toml`, and the folders that the controller keeps."""
