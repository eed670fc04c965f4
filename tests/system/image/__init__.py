"""The image, really built and really run; by `make image-test`, because it takes minutes."""
