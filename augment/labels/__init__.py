"""What augmentation can do to labels: how ops change pictures, and which class names that makes wrong."""
