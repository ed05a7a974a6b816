"""TensorFlow and PyTorch behind the same verbs: twin folders, the same file names and signatures."""
