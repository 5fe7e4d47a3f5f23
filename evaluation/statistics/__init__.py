"""What is known from a sample of images: accuracies, radii, error rates, and how sure they are."""
